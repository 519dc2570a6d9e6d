"""A table as text in the formats that other programs read: Markdown, LaTeX, CSV, JSON."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from exp.tables import words
from exp.tables.compare import Comparison, Entry
from exp.tables.plan import PlannedRow
from exp.tables.spec import setting

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "→": r"$\to$",
    "–": "--",
    "—": "---",
}
MARKS = {
    "better": r"$\uparrow$",
    "worse": r"$\downarrow$",
    "not resolved": r"$\approx$",
    "the same": "=",
    "the same within": "=",
    "undecided": "?",
    "not enough seeds": "?",
}

LETTERS = 78
"""Letters that fit on a line of LaTeX's article, set in \\small."""
NARROW = 50
"""Letters that fit in one column of a two-column paper, as far as a fragment can know."""
LINES = 36
"""Lines of a table that fit on its page below the caption."""
SHRINK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"
"""Scales what follows down to the line where it is wider."""


def markdown(comparison: Comparison) -> str:
    """A section a table, a Markdown table a metric."""
    plan = comparison.plan
    lines = [f"## {plan.table.name}: {plan.table.title}", ""]
    lines += [f"Source: {words.source(one)}  " for one in plan.table.sources.values()]
    lines += [f"{f'`{plan.variant}`: ' if plan.variant else ''}{words.state(plan)}", ""]
    if label := words.label(plan):
        lines += [f"**{words.label_words(plan).capitalize()}:** {label}", ""]
    for remark in words.remarks(comparison):
        lines += [f"> {remark}", ""]
    for column in plan.table.columns:
        rows = [words.fields(comparison.entry(row.row.name, column)) for row in plan.rows]
        lines += [f"**{words.criteria(comparison, column)}**", "", *_pipes(words.headings(comparison), rows), ""]
        lines += [wanted, ""] if (wanted := words.seeds_wanted(comparison, column)) else []
    costs = [(row.row.name, *words.costs(comparison, row.row.name)) for row in plan.rows]
    lines += [*_pipes(("row", *words.COST_NAMES.values()), costs), ""]
    if comparison.claims:
        lines += [*_pipes(words.CLAIM_HEADINGS, words.claims(comparison)), ""]
    lines += [f"- {note}" for note in words.notes(comparison)]
    return "\n".join(lines).rstrip() + "\n"


def _pipes(headings: tuple[str, ...], rows: list[Any]) -> list[str]:
    def line(texts: Any) -> str:
        return "| " + " | ".join(str(text).replace("|", "\\|") for text in texts) + " |"

    return [line(headings), "|" + "---|" * len(headings), *map(line, rows)]


PACKAGES = ("booktabs", "graphicx")
"""What a fragment needs."""


def latex(comparison: Comparison, *, document: bool = False) -> str:
    r"""Returns a fragment for ``\input``, or a document that compiles as it is.

    The best row of a column is bold and the second underlined where they are better than the reference by their
    verdicts, or where the column is a count. A dagger marks rows that were not run as the table's others.

    Columns that do not fit beside each other go below, under the rows' names again, and what does not fit on a page
    goes to a further table of the same number. What is still too wide for the line, such as one column of a two-column
    paper, is scaled down to it.
    """
    rows = comparison.plan.rows
    parts = [
        _tabular(comparison, rows[start : start + LINES], columns)
        for start in range(0, len(rows), LINES)
        for columns in _blocks(comparison, LETTERS if document else NARROW)
    ]
    together = max(1, LINES // (len(rows) + 5))  # five lines of headings and rules
    floats = [_float(comparison, parts[at : at + together], at > 0) for at in range(0, len(parts), together)]
    if not document:
        return "\n".join([f"% needs \\usepackage{{{','.join(PACKAGES)}}}", *floats, ""])
    fonts = [r"\usepackage[T1]{fontenc}", r"\usepackage{lmodern}"]  # Type 1, where the fonts of T1 are bitmaps else
    packages = [rf"\usepackage{{{name}}}" for name in PACKAGES]
    lines = [r"\documentclass{article}", *fonts, *packages, r"\begin{document}", *floats, r"\end{document}", ""]
    return "\n".join(lines)


def _float(comparison: Comparison, parts: list[str], continued: bool) -> str:
    """Returns a table environment around some of the tabulars."""
    if continued:
        caption = [r"\addtocounter{table}{-1}", r"\caption{(continued)}"]
    else:
        label = comparison.plan.table.slug.replace("_", "-")
        caption = [rf"\caption{{{_caption(comparison)}}}", rf"\label{{tab:{label}}}"]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\setlength{\belowcaptionskip}{6pt}",
            *caption,
            r"\small",
            r"\setlength{\tabcolsep}{4pt}",
            "\n\n\\medskip\n".join(parts),
            *([rf"\par\smallskip\raggedright\footnotesize {_daggers(comparison)}"] if _daggers(comparison) else []),
            r"\end{table}",
        ]
    )


def _blocks(comparison: Comparison, letters: int) -> list[list[str]]:
    """Returns the columns in blocks that fit on a line each."""
    names = max(len(row.row.name) for row in comparison.plan.rows)
    blocks: list[list[str]] = []
    used = 0
    for column in comparison.plan.table.columns:
        width = _letters(comparison, column)
        if not blocks or used + width > letters:
            blocks.append([])
            used = names
        blocks[-1].append(column)
        used += width
    return blocks


def _letters(comparison: Comparison, column: str) -> int:
    """Returns how many letters wide a column is, the published numbers beside it and gaps of two letters included."""
    entries = _column(comparison, column)
    below = 2 + max(len("reproduced"), *(len(words.mean_sd(entry)) + 2 * (entry.mean is not None) for entry in entries))
    if _paired(comparison, column):
        below += 2 + max(len("published"), *(len(words.published(entry)) for entry in entries))
    return max(2 + len(_heading(comparison, column)), below)


def _tabular(comparison: Comparison, rows: Sequence[PlannedRow], columns: list[str]) -> str:
    """Returns some of the rows under some of the columns."""
    spec, top, below, rules, at = "l", [""], ["row"], [], 2
    costs = _costs(comparison) if columns[-1] == list(comparison.plan.table.columns)[-1] else {}
    measured = words.headings(comparison)[words.HEADINGS.index("reproduced")]
    for column in columns:
        width = 2 if _paired(comparison, column) else 1
        spec += "r" * width
        top.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(_heading(comparison, column))}}}")
        below += [measured, "published"][:width]
        rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    spec += "r" * len(costs)
    top += [""] * len(costs)
    below += list(costs)
    ranks = {column: _ranks(comparison, column) for column in columns}
    body = []
    for row in rows:
        cells = [escape(row.row.name) + (r"$^\dagger$" if row.row.name in _labelled(comparison) else "")]
        for column in columns:
            entry = comparison.entry(row.row.name, column)
            cells.append(_marked(entry, ranks[column].get(row.row.name, "")))
            if _paired(comparison, column):
                cells.append(escape(words.published(entry)) or "--")
        cells += [known[row.row.name] for known in costs.values()]
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            rf"{SHRINK}{{\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            " & ".join(top) + r" \\",
            " ".join(rules),
            " & ".join(below) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
        ]
    )


def _heading(comparison: Comparison, column: str) -> str:
    unit = comparison.plan.table.columns[column].unit
    return f"{column} ({unit})" if unit else column


def _paired(comparison: Comparison, column: str) -> bool:
    """Returns whether a column has published numbers beside it."""
    return any(entry.published for entry in _column(comparison, column))


def _column(comparison: Comparison, column: str) -> list[Entry]:
    return [entry for (_, name), entry in comparison.entries.items() if name == column]


def _costs(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Returns parameters and MACs by row, where they are known and no column has them anyway."""
    columns = {column.metric for column in comparison.plan.table.columns.values()}
    costs = {}
    for place, (key, name) in enumerate((("params", "params"), ("macs", "MACs"))):
        if f"result/{key}" not in columns and any(key in known for known in comparison.costs.values()):
            costs[name] = {row.row.name: words.costs(comparison, row.row.name)[place] for row in comparison.plan.rows}
    return costs


def _ranks(comparison: Comparison, column: str) -> dict[str, str]:
    """Returns how the best and the second row of a column are set, where their verdicts allow it."""
    known = [entry for entry in _column(comparison, column) if entry.mean is not None]
    sign = -1 if comparison.plan.table.columns[column].higher else 1
    known.sort(key=lambda entry: sign * (entry.mean or 0.0))
    ranks = {}
    for place, entry in enumerate(known[:2]):
        beaten = known[place + 1 :]
        holds = entry.verdict == "better" or (
            entry.verdict == "reference" and any(o.verdict == "worse" for o in beaten)
        )
        tied = any(other.mean == entry.mean for other in known if other is not entry)
        if holds and not tied:
            ranks[entry.row.row.name] = ("textbf", "underline")[place]
    return ranks


def _labelled(comparison: Comparison) -> list[str]:
    """Returns the rows with a label of their own."""
    plan = comparison.plan
    labelled = [row for row in plan.rows if any(part.label.text and part.results for part in row.each)]
    return [] if words.label(plan) else [row.row.name for row in labelled]


def _daggers(comparison: Comparison) -> str:
    """Returns what the daggers mean, each reason once."""
    named = set(_labelled(comparison))
    rows = [row for row in comparison.plan.rows if row.row.name in named]
    reasons = dict.fromkeys(part.label.text for row in rows for part in row.each if part.label.text)
    return rf"$^\dagger$ {escape('; '.join(reasons))}" if reasons else ""


def _marked(entry: Entry, macro: str) -> str:
    """Returns the reproduced number with the verdict's mark, in a box so that numbers without one stay aligned."""
    text = escape(words.mean_sd(entry))
    text = rf"\{macro}{{{text}}}" if macro else text
    return text if entry.mean is None else rf"{text} \makebox[1em]{{{MARKS.get(entry.verdict, '')}}}"


def _caption(comparison: Comparison) -> str:
    plan = comparison.plan
    sentences = [f"{plan.table.title}."]
    if told := words.label(plan) or plan.variant:
        sentences.append(f"Run with {told}.")
    sentences.append(
        f"Mean and standard deviation over seeds (their number in brackets); against {plan.table.reference}, paired by"
        " seed, Holm-corrected over the table at 5 %:"
    )
    better, worse, noise = (MARKS[word] for word in ("better", "worse", "not resolved"))
    marks = rf" {better} better, {worse} worse, {noise} not resolved, = the same, ? undecided."
    return escape(" ".join(sentences)) + marks


def escape(text: str) -> str:
    """Text as LaTeX takes it; what plain LaTeX has no letter for becomes a question mark."""
    known = "".join(LATEX.get(letter, letter) for letter in text)
    return known.encode("latin-1", "replace").decode("latin-1") if not known.isascii() else known


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """One record a row and metric."""
    return [_record(comparison, row, column, entry) for (row, column), entry in comparison.entries.items()]


def _record(comparison: Comparison, row: str, column: str, entry: Entry) -> dict[str, Any]:
    test = entry.difference
    return {
        "row": row,
        "metric": column,
        "n": entry.n,
        "mean": entry.mean,
        "sd": entry.sd,
        "mean_interval": list(entry.mean_interval) if entry.mean_interval else None,
        "reference": comparison.plan.table.reference_of(row),
        "difference": test.mean if test else None,
        "pairs": test.n if test else None,
        "interval": list(test.interval) if test and test.interval else None,
        "effect": test.effect if test else None,
        "p_uncorrected": test.p if test else None,
        "p": entry.p,
        "verdict": entry.verdict,
        "tolerance": entry.tolerance if math.isfinite(entry.tolerance) else None,
        "never": len(entry.never),
        "look": entry.look or None,
        "seeds_needed": entry.seeds_needed,
        "published": _published(entry),
        "delta": entry.delta,
        "within_tolerance": entry.within,
        "outcome": entry.outcome or None,
        "passed": entry.passed,
        "failed": entry.failed,
        "state": words.row_state(entry.row) if entry.mean is None else "measured",
        "label": entry.row.label.text or None,
        **({"under": setting(entry.column.under)} if len(comparison.plan.table.settings) > 1 else {}),
        "values": {str(seed): value for seed, value in entry.values.items()},
    }


def _published(entry: Entry) -> float | str | None:
    if entry.published is None:
        return None
    return "failed" if entry.published.value is None else entry.published.value


def as_json(comparison: Comparison) -> str:
    """The table with every number in full."""
    plan = comparison.plan
    return json.dumps(
        {
            "table": plan.table.name,
            "title": plan.table.title,
            "overrides": plan.given.variant(),
            "label": words.label(plan) or None,
            "seeds": list(plan.seeds),
            "rows": records(comparison),
            "costs": comparison.costs,
            "claims": [
                {
                    "claim": one.claim.text,
                    "column": column,
                    "verdict": verdict,
                    "p": one.ps[column],
                    "rests_on": one.details[column],
                    "published_agrees": one.published[column],
                }
                for one in comparison.claims
                for column, verdict in one.verdicts.items()
            ],
            "choices": {key: {"value": one.value, "table": one.table} for key, one in plan.chosen.items()},
            "problems": words.problems(plan),
            "warnings": comparison.warnings,
            "families": words.families(comparison),
            "looks": words.schedule(comparison),
            "sources": [words.source(one) for one in plan.table.sources.values()],
            "notes": words.notes(comparison),
        },
        indent=2,
        allow_nan=False,
    )


def as_csv(comparison: Comparison) -> str:
    """One line a row and metric, the value of each seed in a column of its own."""
    listed = records(comparison)
    seeds = sorted(
        {seed for entry in comparison.entries.values() for seed in entry.values} | set(comparison.plan.seeds)
    )
    for record in listed:
        for key in ("interval", "mean_interval"):
            low, high = record.pop(key) or (None, None)
            record |= {f"{key}_low": low, f"{key}_high": high}
        values = record.pop("values")
        record |= {f"seed_{seed}": values.get(str(seed)) for seed in seeds}
    out = io.StringIO()
    writer = csv.DictWriter(out, list(listed[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()

"""A table as text in the formats that other programs read: Markdown, LaTeX, CSV, JSON."""

import csv
import io
import json
from typing import Any

from exp.tables import words
from exp.tables.compare import Comparison, Entry

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
    "within noise": r"$\approx$",
    "the same": "=",
    "undecided": "?",
    "not enough seeds": "?",
}


def markdown(comparison: Comparison) -> str:
    """A section a table, a Markdown table a metric."""
    plan = comparison.plan
    lines = [f"## {plan.table.name}: {plan.table.title}", ""]
    lines += [f"Source: {one.file}{f', {one.title}' if one.title else ''}  " for one in plan.table.sources.values()]
    lines += [f"{f'`{plan.variant}`: ' if plan.variant else ''}{words.state(plan)}", ""]
    if label := words.label(plan):
        lines += [f"**Not as published:** {label}", ""]
    for said in words.remarks(comparison):
        lines += [f"> {said}", ""]
    for column in plan.table.columns:
        rows = [words.fields(comparison.entry(row.row.name, column)) for row in plan.rows]
        lines += [f"**{words.criteria(comparison, column)}**", "", *_pipes(words.HEADINGS, rows), ""]
    costs = [(row.row.name, *words.costs(comparison, row.row.name)) for row in plan.rows]
    lines += [*_pipes(("row", *words.COST_NAMES.values()), costs), ""]
    if comparison.claims:
        lines += [*_pipes(("claim", "column", "verdict", "rests on", "the source"), words.claims(comparison)), ""]
    lines += [f"- {note}" for note in words.notes(comparison)]
    return "\n".join(lines).rstrip() + "\n"


def _pipes(headings: tuple[str, ...], rows: list[Any]) -> list[str]:
    def line(texts: Any) -> str:
        return "| " + " | ".join(str(text).replace("|", "\\|") for text in texts) + " |"

    return [line(headings), "|" + "---|" * len(headings), *map(line, rows)]


def latex(comparison: Comparison) -> str:
    """A document that compiles as it is; the table inside needs booktabs alone."""
    plan = comparison.plan
    columns = list(plan.table.columns)
    pairs = [column for column in columns if any(e.published for e in _column(comparison, column))]
    spec, top, below, rules, at = "l", [""], ["row"], [], 2
    for column in columns:
        width = 2 if column in pairs else 1
        spec += "r" * width
        unit = plan.table.columns[column].unit
        heading = escape(f"{column} ({unit})" if unit else column)
        top.append(rf"\multicolumn{{{width}}}{{c}}{{{heading}}}")
        below += ["reproduced", "published"][:width]
        rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    body = []
    for row in plan.rows:
        cells = [escape(row.row.name)]
        for column in columns:
            entry = comparison.entry(row.row.name, column)
            cells.append(_marked(entry))
            if column in pairs:
                cells.append(escape(words.published(entry)) or "--")
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage{booktabs}",
            r"\begin{document}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_caption(comparison)}}}",
            rf"\label{{tab:{plan.table.name.replace('_', '-')}}}",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            " & ".join(top) + r" \\",
            " ".join(rules),
            " & ".join(below) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            r"\end{document}",
            "",
        ]
    )


def _column(comparison: Comparison, column: str) -> list[Entry]:
    return [entry for (_, name), entry in comparison.entries.items() if name == column]


def _marked(entry: Entry) -> str:
    text = escape(words.mean_sd(entry))
    mark = MARKS.get(entry.verdict)
    return f"{text}~{mark}" if mark else text


def _caption(comparison: Comparison) -> str:
    plan = comparison.plan
    said = [f"{plan.table.title}."]
    if plan.variant or words.label(plan):
        said.append(f"Reproduced with {'; '.join(filter(None, (plan.variant, words.label(plan))))}.")
    said.append(
        f"Mean and standard deviation over seeds (their number in brackets); against {plan.table.reference}, paired by"
        " seed, Holm-corrected at 5 %:"
    )
    better, worse, noise = (MARKS[word] for word in ("better", "worse", "within noise"))
    marks = rf" {better} better, {worse} worse, {noise} within noise, = the same, ? undecided."
    return escape(" ".join(said)) + marks


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
        "reference": comparison.plan.table.reference,
        "difference": test.mean if test else None,
        "pairs": test.n if test else None,
        "interval": list(test.interval) if test and test.interval else None,
        "p_uncorrected": test.p if test else None,
        "p": entry.p,
        "verdict": entry.verdict,
        "seeds_needed": entry.seeds_needed,
        "published": _published(entry),
        "delta": entry.delta,
        "within_tolerance": entry.within,
        "outcome": entry.outcome or None,
        "passed": entry.passed,
        "failed": entry.failed,
        "state": words.row_state(entry.row) if entry.mean is None else "measured",
        "label": entry.row.label.text or None,
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
            "overrides": plan.given.telling(),
            "label": words.label(plan) or None,
            "seeds": list(plan.seeds),
            "rows": records(comparison),
            "costs": comparison.costs,
            "claims": [
                {
                    "claim": one.claim.text,
                    "column": column,
                    "verdict": verdict,
                    "rests_on": one.details[column],
                    "published_agrees": one.published[column],
                }
                for one in comparison.claims
                for column, verdict in one.verdicts.items()
            ],
            "choices": {key: {"value": one.value, "table": one.table} for key, one in plan.chosen.items()},
            "problems": words.problems(plan),
            "warnings": comparison.warnings,
            "notes": words.notes(comparison),
        },
        indent=2,
        allow_nan=False,
    )


def as_csv(comparison: Comparison) -> str:
    """One line a row and metric."""
    listed = records(comparison)
    for record in listed:
        for key in ("interval", "mean_interval"):
            low, high = record.pop(key) or (None, None)
            record |= {f"{key}_low": low, f"{key}_high": high}
        del record["values"]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(listed[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()

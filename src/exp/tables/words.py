"""Numbers and states of a table as words, the same in every format."""

import math

from exp.cells.terminal import count, duration
from exp.options.words import spelt
from exp.tables.compare import Comparison, Entry, open_rows
from exp.tables.hypotheses import PRIMARY_SHARE, ROWS
from exp.tables.plan import PlannedRow, TablePlan
from exp.tables.spec import Citation, Under, setting
from exp.tables.statistics import ALPHA

HEADINGS = (
    *("row", "cells", "reproduced", "difference", "95 % interval", "effect", "p (corrected)", "verdict"),
    *("published", "delta"),
)
"""Headings of a metric's block."""

ROUNDING = 1e-9
"""Differences below this are what is left of sums in floating point."""

STATES = ("done", "stale", "running", "waiting", "failed", "diverged")
"""States of cells, in the order in which they are counted."""

COST_NAMES = {"params": "parameters", "macs": "MACs", "train_seconds": "training time"}


def number(value: float | None) -> str:
    """Four significant digits, two decimals from ten up."""
    if value is None:
        return "-"
    return f"{value:.2f}" if 10 <= abs(value) < 1e5 else f"{value:.4g}"


def signed(value: float | None) -> str:
    """``+0.42``."""
    if value is None:
        return "-"
    if abs(value) < ROUNDING:
        value = 0.0
    return f"{value:+.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:+.2g}"


def headings(comparison: Comparison) -> tuple[str, ...]:
    """``HEADINGS`` as a table shows them: without a source's numbers nothing is reproduced, only measured."""
    shown = "reproduced" if comparison.plan.table.published else "measured"
    return tuple(shown if name == "reproduced" else name for name in HEADINGS)


def used(comparison: Comparison, column: str) -> list[int]:
    """Places of those headings under which a metric has something to show; cells only where one is not done."""
    entries = [comparison.entry(row.row.name, column) for row in comparison.plan.rows]
    rows = [fields(entry) for entry in entries]
    whole = all(
        entry.row.count("done") == len(entry.row.cells) or (entry.values and not entry.row.cells) for entry in entries
    )
    return [
        place
        for place, name in enumerate(HEADINGS)
        if name in ("row", "reproduced") or (any(row[place] for row in rows) and not (name == "cells" and whole))
    ]


def spread(mean: float, sd: float, unit: str = "") -> str:
    """``97.22 ± 0.31``: the same decimals for both, two where the mean is large or a share, else as the spread asks."""
    if unit == "%" or abs(mean) >= 10:
        places = 2 if abs(mean) < 1e5 else 0
    else:
        places = 3 if sd == 0 else min(8, max(2, 1 - math.floor(math.log10(sd))))
    return f"{mean:.{places}f} ± {sd:.{places}f}"


def mean_sd(entry: Entry) -> str:
    """``97.22 ± 0.31 (5)``; below three seeds no spread; ``4 (2), 1 never`` where a value was not always reached."""
    if entry.mean is None:
        return f"never ({entry.n})" if entry.never else row_state(entry.row)
    if entry.never:
        return f"{number(entry.mean)} ({len(entry.values)}), {len(entry.never)} never"
    if entry.column.exact:
        return f"{_counted(entry, entry.mean)} ({entry.n})"
    if entry.sd is not None and entry.n >= 3:
        return f"{spread(entry.mean, entry.sd, entry.column.unit)} ({entry.n})"
    mean = f"{entry.mean:.2f}" if entry.column.unit == "%" else number(entry.mean)
    return f"{mean} ({entry.n})"


def _counted(entry: Entry, value: float) -> str:
    """A count of the model, in the column's own unit where it has one."""
    return count(value) if entry.column.per == 1 else number(value)


def row_state(row: PlannedRow) -> str:
    """What to say where a row has no number."""
    if row.problem:
        return "to do" if row.row.todo else "cannot run"
    states = list(dict.fromkeys(called(one.state) for one in row.cells if one.state not in ("done", "stale")))
    return ", ".join(states) or "not reported"


def called(state: str) -> str:
    """What a state is called; whether a waiting cell was ever begun makes no difference to a reader."""
    return "waiting" if state == "missing" else state


def cells(row: PlannedRow) -> str:
    """``3/5``, with what the others are."""
    if row.problem:
        return "-"
    done = row.count("done", "stale")
    more = [f"{n} {state}" for state in ("stale", "running", "failed", "diverged") if (n := row.count(state))]
    return f"{done}/{len(row.cells)}" + (f" ({', '.join(more)})" if more else "")


def difference(entry: Entry) -> str:
    """The mean paired difference to the reference row."""
    if entry.column.exact and entry.difference:
        return ("+" if entry.difference.mean > 0 else "") + _counted(entry, entry.difference.mean)
    return signed(entry.difference.mean) if entry.difference else ""


def interval(entry: Entry) -> str:
    """Its 95 % interval, from three seeds up."""
    test = entry.difference
    if test is None or test.n < 3 or entry.column.exact:
        return ""
    return f"[{signed(test.interval[0])}, {signed(test.interval[1])}]" if test.interval else "all the same"


def effect(entry: Entry) -> str:
    """The difference in standard deviations of the paired differences, corrected for few seeds; from three up."""
    test = entry.difference
    if test is None or test.n < 3 or test.effect is None or entry.column.exact:
        return ""
    return f"{test.effect:+.1f} sd"


def p_value(p: float | None) -> str:
    """``0.031``, ``< 0.001``; as many digits as tell it from 5 %."""
    if p is None:
        return ""
    if p < 0.001:
        return "< 0.001"
    digits = 3 if p < 0.1 else 2
    while f"{p:.{digits}f}" == f"{ALPHA:.{digits}f}" and p != ALPHA:
        digits += 1
    return f"{p:.{digits}f}"


def verdict(entry: Entry) -> str:
    """The verdict and the criterion's outcome."""
    same = f"{entry.verdict} {entry.tolerance:g}" if entry.verdict == "the same within" else entry.verdict
    parts = [] if entry.verdict == "missing" else [same]
    if entry.look > 1:
        parts.append(f"at look {entry.look}")
    if entry.passed is not None:
        parts.append(f"{entry.passed}/{entry.n} pass")
    if entry.failed is not None and entry.n:
        parts.append(f"{entry.failed}/{entry.n} fail")
    if entry.outcome:
        parts.append(entry.outcome)
    return "; ".join(parts)


def seeds_wanted(comparison: Comparison, column: str) -> str:
    """``not resolved with these seeds; it would take about 15 for ca``; empty where nothing is open."""
    entries = [comparison.entry(row.row.name, column) for row in comparison.plan.rows]
    wanted = [
        f"{entry.seeds_needed} for {entry.row.row.name}"
        for entry in entries
        if entry.seeds_needed and entry.seeds_needed > entry.n
    ]
    return f"seeds that would resolve a difference like the one seen, about: {', '.join(wanted)}" if wanted else ""


def published(entry: Entry) -> str:
    """The published number."""
    return entry.published.text if entry.published else ""


def delta(entry: Entry) -> str:
    """Reproduced less published where the two may be compared, and whether it is within tolerance."""
    if entry.delta is None:
        return ""
    outside = "" if entry.within is None else " ok" if entry.within else " outside"
    return signed(entry.delta) + outside


def fields(entry: Entry) -> tuple[str, ...]:
    """The texts under ``HEADINGS``."""
    return (
        entry.row.row.name,
        cells(entry.row),
        mean_sd(entry),
        difference(entry),
        interval(entry),
        effect(entry),
        p_value(entry.p),
        verdict(entry),
        published(entry),
        delta(entry),
    )


def criteria(comparison: Comparison, column: str) -> str:
    """A column's heading: name, unit, direction, criteria."""
    one = comparison.plan.table.columns[column]
    words = [f"{column} ({one.unit})" if one.unit else column, "more is better" if one.higher else "less is better"]
    if one.under:
        words.append(f"under {setting(one.under)}")
    if one.primary:
        words.append("primary")
    if one.censored:
        words.append("never counts as last, tested by ranks")
    if one.passes:
        words.append(f"passes {one.passes}")
    if one.fails:
        words.append(f"fails {one.fails}")
    return ", ".join(words)


def state(plan: TablePlan) -> str:
    """``25 cells: 20 done, 5 waiting``, counted by row and seed."""
    listed = [called(one.state) for row in plan.rows for one in row.cells]
    elsewhere = sum(len(row.results) for row in plan.rows if not row.cells)
    if elsewhere:
        return f"{elsewhere} runs, made elsewhere"
    undecided = sum(row.waits for row in plan.rows) * plan.expected // len(plan.rows)
    counts = {name: listed.count(name) for name in STATES}
    counts |= {"cannot run yet": undecided, "cannot run here": plan.expected - len(listed) - undecided}
    return f"{plan.expected} cells: {', '.join(f'{n} {name}' for name, n in counts.items() if n)}"


def costs(comparison: Comparison, row: str) -> tuple[str, str, str]:
    """Parameters, MACs and training time of a row."""
    known = comparison.costs[row]
    seconds = known.get("train_seconds")
    return count(known.get("params")), count(known.get("macs")), "-" if seconds is None else duration(seconds)


def label(plan: TablePlan) -> str:
    """How the whole table differs from what was published; empty where rows differ in different ways or not at all.

    Columns under different settings may differ in different ways.
    """
    labels: dict[Under, set[str]] = {}
    for part in (part for row in plan.rows for part in row.each if part.cells):
        labels.setdefault(part.under, set()).add(part.label.text)
    alike = all(len(texts) == 1 for texts in labels.values())
    return "; ".join(filter(None, dict.fromkeys(text for texts in labels.values() for text in texts))) if alike else ""


def label_words(plan: TablePlan) -> str:
    """What a label says: that runs are not as published, or, where nothing was, not as the table's file has them."""
    return "not as published" if plan.table.published else "not as the file has it"


def problems(plan: TablePlan) -> list[str]:
    """Rows that cannot run, each reason once."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    parts = [part for row in plan.rows for part in ([row] if row.problem else row.each)]
    for part in parts:
        if part.problem:
            by_reason.setdefault((part.problem, "yet" if part.waits else "here"), []).append(part.title)
    return [
        f"no row can run {when}: {reason}"
        if len(names) == len(parts)
        else f"{', '.join(names)}: cannot run {when}: {reason}"
        for (reason, when), names in by_reason.items()
    ]


CLAIM_HEADINGS = ("claim", "column", "p (corrected)", "verdict", "rests on", "the source")
"""Headings of the claims."""


def claims(comparison: Comparison) -> list[tuple[str, str, str, str, str, str]]:
    """A line a claim and column: the texts under ``CLAIM_HEADINGS``."""
    agreement = {True: "its own numbers say so", False: "its own numbers say otherwise", None: ""}
    return [
        (
            checked.claim.text,
            column,
            p_value(checked.ps[column]),
            verdict,
            checked.details[column],
            agreement[checked.published[column]],
        )
        for checked in comparison.claims
        for column, verdict in checked.verdicts.items()
    ]


def notes(comparison: Comparison) -> list[str]:
    """The table's notes, then doubts about single numbers and claims."""
    table = comparison.plan.table
    found = list(table.notes)
    found += [f"{row.row.name}: {row.row.note}" for row in comparison.plan.rows if row.row.note]
    found += [f"{name}: {column.note}" for name, column in table.columns.items() if column.note]
    found += [f"{table.at('columns', name)}: {column.todo}" for name, column in table.columns.items() if column.todo]
    by_note: dict[str, list[str]] = {}
    kept = {row.row.name for row in comparison.plan.rows}
    for one in table.published:
        if one.note and one.row in kept:
            by_note.setdefault(one.note, []).append(f"{one.row} {one.column} {one.text}")
    found += [f"{', '.join(dict.fromkeys(where))}: {note}" for note, where in by_note.items()]
    found += [f"claim '{claim.text}': {claim.note}" for claim in (one.claim for one in comparison.claims) if claim.note]
    return found


def row_labels(plan: TablePlan) -> list[str]:
    """Labels of single rows, where they are not the whole table's."""
    if label(plan):
        return []
    return [f"{part.title}: {part.label.text}" for row in plan.rows for part in row.each if part.label.text]


def _alike(plan: TablePlan) -> list[str]:
    """Rows that come to the same cells, as where a recipe has no part that a row could leave out."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for row in plan.rows:
        if row.cells:
            rows.setdefault(tuple(one.cell.resolved.key for one in row.cells), []).append(row.row.name)
    return [
        f"{', '.join(same[1:])}: under these options the same cells as {same[0]}" for same in rows.values() if same[1:]
    ]


def source(citation: Citation) -> str:
    """A source: its file, what it is, through which page it is known, and what its numbers were measured on."""
    words = [f"{citation.file}, {citation.title}" if citation.title else citation.file]
    words += [f"known second hand, through {citation.via}"] if citation.via else []
    on = ", ".join(f"{key}={spelt(value)}" for key, value in citation.on.items())
    words += [f"measured on {on}"] if on else []
    words += [f"with {citation.beyond}, so that its numbers are context only"] if citation.beyond else []
    return "; ".join(words)


def families(comparison: Comparison) -> list[str]:
    """To which family a p belongs: how many tests share the table's 5 %, and how."""
    tested = list(comparison.settled)
    if not tested:
        return []
    rows = [one for one in tested if one.family == ROWS]
    checks = [one for one in tested if one.family != ROWS]
    parts = []
    if rows:
        parts.append(f"p of rows: over the {_times(len(rows), 'test')} of all rows and columns")
    if checks:
        parts.append(f"p of claims: over the {_times(len(checks), 'test')} of all claims and columns")
    text = "; ".join(parts) + f"; any false verdict in this table: at most {100 * ALPHA:g} %"
    if rows and checks:
        text += ", half for rows and half for claims"
    primary = [name for name, column in comparison.plan.table.columns.items() if column.primary]
    if primary and any(not one.column.primary for one in tested):
        text += f", {100 * PRIMARY_SHARE:g} % of each for {', '.join(primary)}, stated beforehand as primary"
    return [text]


def _times(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def schedule(comparison: Comparison) -> list[str]:
    """At which looks rows got further seeds, and why no more were added."""
    plan = comparison.plan
    if plan.schedule is None:
        return []
    shares = ", ".join(f"{100 * look.share:.3g} %" for look in plan.looks)
    sizes = ", ".join(map(str, plan.schedule.sizes))
    budget = "" if plan.schedule.budget is None else f" of a budget of {plan.schedule.budget}"
    left = open_rows(comparison)
    ended = f"; {plan.schedule.ended}" if plan.schedule.ended else ""
    still = f"; not resolved: {', '.join(left)}" if left else "; every row is resolved"
    return [
        f"seeds added where verdicts were open: looks fixed beforehand at {sizes} seeds, which spend {shares} of the"
        f" {100 * ALPHA:g} %; {_times(plan.schedule.spent, 'cell')} added{budget}{ended}{still}"
    ]


def _others(plan: TablePlan) -> list[str]:
    """Rows that are compared with another row than the table's reference."""
    by_row: dict[str, list[str]] = {}
    for row in plan.rows:
        if row.row.against:
            by_row.setdefault(row.row.against, []).append(row.row.name)
    return [
        f"compared with {against}, not {plan.table.reference}: {', '.join(names)}" for against, names in by_row.items()
    ]


def remarks(comparison: Comparison) -> list[str]:
    """What a reader has to know before the numbers: rows kept, choices made, what cannot run or has changed."""
    plan = comparison.plan
    found = [*plan.notes, *row_labels(plan), *_alike(plan), *problems(plan), *comparison.warnings]
    found += [*_others(plan), *families(comparison), *schedule(comparison)]
    changed = sorted({what for one in plan.cells for what in one.changed})
    if changed:
        listed = ", ".join(changed[:6]) + (" ..." if len(changed) > 6 else "")
        found.append(f"stale cells: changed since they ran: {listed}; sweep.force=stale runs them anew")
    return found

"""A planned table with its numbers: per row and column mean, spread, difference, verdict, and what was published."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exp.sweep.plan import uncollected
from exp.tables.claims import Checked, Settled, Verdicts, check, fails
from exp.tables.hypotheses import (
    CONTRADICTED,
    SAME,
    SUPPORTED,
    Evidence,
    Hypothesis,
    Look,
    hypotheses,
    judge,
    of_row,
)
from exp.tables.measure import measured, reported
from exp.tables.plan import PlannedRow, TablePlan
from exp.tables.spec import Column, Number, Table
from exp.tables.statistics import (
    ALPHA,
    Interval,
    Paired,
    exact_verdict,
    interval,
    mean_sd,
    paired,
    seeds_needed,
)

VERDICTS = ("better", "worse", "the same within", "undecided", "not resolved", "the same", "not enough seeds")
"""What is said of a row, in the order in which the report counts it."""

ENDED = ("done", "stale", "failed", "diverged")
"""States of cells from which no further value will come."""

COSTS = ("params", "macs", "train_seconds")


@dataclass
class Entry:
    """One row in one column.

    Attributes:
        values: Measured value by seed.
        never: Seeds that finished without a value, in a column in which that counts as later than all.
        difference: Against the reference row, paired by seed; None for that row, where no seed is shared, and where
            a value was never reached.
        p: p after Holm over all rows and columns of the table, see ``exp.tables.hypotheses``.
        verdict: ``reference``, ``missing`` or one of ``VERDICTS``.
        tolerance: How small a difference does not matter; infinite where the table does not say.
        look: Number of the look that it rests on where seeds were added until verdicts were clear, from 1.
        seeds_needed: Seeds that would resolve the difference seen.
        published: What was published.
        delta: Mean less published, where both are of the same data and budget.
        within: Whether the delta is within the table's tolerance.
        outcome: Where the row was published as failed: ``failed as published``, ``did not fail`` or empty.
        passed: Seeds that meet the column's criterion.
        failed: Seeds that fail by it.
    """

    row: PlannedRow
    column: Column
    values: dict[int, float]
    never: tuple[int, ...] = ()
    mean: float | None = None
    sd: float | None = None
    mean_interval: Interval | None = None
    difference: Paired | None = None
    p: float | None = None
    verdict: str = "missing"
    tolerance: float = math.inf
    look: int = 0
    seeds_needed: int | None = None
    published: Number | None = None
    delta: float | None = None
    within: bool | None = None
    outcome: str = ""
    passed: int | None = None
    failed: int | None = None

    @property
    def n(self) -> int:
        """Seeds measured."""
        return len(self.values) + len(self.never)

    @property
    def ranked(self) -> dict[int, float]:
        """Values with those that were never reached as infinite."""
        return {**self.values, **dict.fromkeys(self.never, math.inf)}


@dataclass
class Comparison:
    """A table with its numbers.

    Attributes:
        entries: By row and column name.
        costs: Mean parameters, MACs and training seconds by row.
        claims: The claims, checked.
        warnings: What is wrong with the table itself, such as a metric that no cell reports.
        settled: What became of everything that the table tests.
    """

    plan: TablePlan
    entries: dict[tuple[str, str], Entry]
    costs: dict[str, dict[str, float]]
    claims: list[Checked] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    settled: Verdicts = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The table's name."""
        return self.plan.table.name

    def entry(self, row: str, column: str) -> Entry:
        """A row in a column."""
        return self.entries[row, column]

    @property
    def failures(self) -> list[str]:
        """What ``--check`` fails for."""
        if not any(row.count(*ENDED) for row in self.plan.rows):
            return [f"table {self.name}: nothing of it has run, so that nothing could be checked"]
        found = []
        for (row, column), entry in self.entries.items():
            if entry.within is False:
                assert entry.published is not None and entry.mean is not None
                found.append(
                    f"{row} {column}: {entry.mean:.4g} is more than {entry.tolerance:g} from the published"
                    f" {entry.published.text}"
                )
            if entry.outcome == "did not fail" and entry.row.label.comparable:
                found.append(f"{row} {column}: did not fail, as was published")
        for claim in self.claims:
            found += [f"claim '{claim.claim.text}', {column}: refuted" for column in claim.refuted]
        return list(dict.fromkeys(found))


@uncollected()
def compare(plan: TablePlan) -> Comparison:
    """Reads the results of a table's cells and compares them."""
    rows = {row.row.name: row for row in plan.rows}
    same_data = all(part.label.same_data for row in plan.rows for part in row.each)
    table = plan.table if same_data else _without_chance(plan.table)
    entries = {
        (name, column.name): _measured(row.part(column.under), column, table)
        for column in table.columns.values()
        for name, row in rows.items()
    }
    values = {key: entry.ranked for key, entry in entries.items()}
    settled, evidence = _settle(plan, table, entries)
    ended = {key: _ended(entry.row) for key, entry in entries.items()}
    for (name, column_name), entry in entries.items():
        _against_reference(entry, entries.get((table.reference_of(name), column_name)), table, settled, evidence)
        entry.published = table.number(name, column_name)
        if entry.published is not None and entry.published.value is None:
            entry.outcome = _outcome(name, entry.column, table, values, ended, settled)
        elif entry.published is not None:
            _beside_published(entry, entry.published)
    claims = [
        check(claim, table, values, ended, settled, not same_data) for claim in table.claims if claim.rows <= set(rows)
    ]
    costs = {name: costs_of(row) for name, row in rows.items()}
    return Comparison(plan, entries, costs, claims, _unreported(plan, entries), settled)


def _without_chance(table: Table) -> Table:
    """On other data guessing gives something else."""
    columns = {name: replace(column, chance=None) for name, column in table.columns.items()}
    return replace(table, columns=columns)


def _measured(row: PlannedRow, column: Column, table: Table) -> Entry:
    values, never = {}, []
    for seed, (folder, result) in row.results.items():
        value = measured(folder, result, column.metric)
        if value is not None:
            values[seed] = value / column.per
        elif column.censored:
            never.append(seed)
    entry = Entry(row, column, values, tuple(never), tolerance=table.tolerance_of(column))
    if values:
        entry.mean, entry.sd = mean_sd(list(values.values()))
        entry.mean_interval = interval(list(values.values())) if not never else None
        if column.passes:
            entry.passed = sum(map(column.passes, values.values()))
        if column.fails:
            entry.failed = sum(map(column.fails, values.values()))
    return entry


def _settle(
    plan: TablePlan, table: Table, entries: dict[tuple[str, str], Entry]
) -> tuple[dict[Hypothesis, Settled], dict[Hypothesis, Evidence | None]]:
    """Judges everything that the table tests, at every look that its cells allow."""
    rows = {row.row.name: row for row in plan.rows}
    tested = hypotheses(table, [name for name, row in rows.items() if not row.problem])
    if not any(entry.n for entry in entries.values()):
        return {}, {}

    def needed(hypothesis: Hypothesis) -> list[PlannedRow]:
        return [rows[name].part(hypothesis.column.under) for name in hypothesis.rows]

    def ready(hypothesis: Hypothesis, look: Look) -> bool:
        wanted = set(look.seeds or ())
        return all(wanted <= {one.seed for one in row.cells if one.state in ENDED} for row in needed(hypothesis))

    def finished(hypothesis: Hypothesis) -> bool:
        return all(row.count(*ENDED) == len(row.cells) for row in needed(hypothesis))

    values = {key: entry.ranked for key, entry in entries.items()}
    judged = judge(tested, values, plan.looks, ready=ready, finished=finished)
    settled = {}
    for one, code, p, look in zip(tested, judged.codes, judged.p, judged.look, strict=True):
        settled[one] = Settled(int(code), None if math.isnan(p) else float(p), int(look))
    return settled, dict(zip(tested, judged.evidence, strict=True))


def _against_reference(
    entry: Entry,
    base: Entry | None,
    table: Table,
    settled: Verdicts,
    evidence: dict[Hypothesis, Evidence | None],
) -> None:
    """Fills in the paired difference to the reference row, with what the table's correction leaves of it."""
    name, column = entry.row.row.name, entry.column
    if name == table.reference_of(name):
        entry.verdict = "reference" if entry.n else "missing"
        return
    shared = [seed for seed in entry.values if base and seed in base.values]
    if base and shared and not entry.never and not base.never:
        entry.difference = paired([entry.values[seed] - base.values[seed] for seed in shared])
    if column.exact:
        if entry.difference:
            entry.verdict = exact_verdict(entry.difference.mean, column.higher)
        return
    if not entry.n:
        return
    hypothesis = of_row(name, column, table)
    became, seen = settled.get(hypothesis, Settled()), evidence.get(hypothesis)
    entry.p, entry.look = became.p, became.look
    entry.verdict = _verdict(became, seen, entry.difference)
    if entry.difference and entry.verdict in ("undecided", "not resolved"):
        entry.seeds_needed = seeds_needed(entry.difference.mean, entry.difference.sd)


def _verdict(became: Settled, seen: Evidence | None, difference: Paired | None) -> str:
    """Returns one of ``VERDICTS``.

    Undecided is a row that would differ if it were the only one. Not enough seeds are those of which all have the same
    difference, but too few have been run for that to mean anything.
    """
    if seen is None:
        return "not enough seeds"
    if became.code:
        return {SUPPORTED: "better", CONTRADICTED: "worse", SAME: "the same within"}[became.code]
    if difference is not None and difference.sd == 0:
        return "not enough seeds" if difference.mean else "the same"
    return "undecided" if float(seen.direction) < ALPHA else "not resolved"


def _beside_published(entry: Entry, published: Number) -> None:
    if entry.mean is not None and published.value is not None and entry.row.label.comparable and not entry.never:
        entry.delta = entry.mean - published.value
        if math.isfinite(entry.tolerance):
            entry.within = abs(entry.delta) <= entry.tolerance + 1e-9


def _outcome(
    row: str,
    column: Column,
    table: Table,
    values: dict[tuple[str, str], dict[int, float]],
    ended: dict[tuple[str, str], set[str]],
    settled: Verdicts,
) -> str:
    """What became of a row that was published as failed; empty where that cannot be decided."""
    verdict, _, _ = fails(row, column, table, values, ended, settled)
    return {"supported": "failed as published", "refuted": "did not fail"}.get(verdict, "")


def _ended(row: PlannedRow) -> set[str]:
    """How a row's cells ended; empty while one is open."""
    states = {"done" if one.state == "stale" else one.state for one in row.cells}
    return states if states <= {"done", "failed", "diverged"} else set()


def costs_of(row: PlannedRow) -> dict[str, float]:
    """Mean parameters, MACs and training seconds of a row's cells that are done."""
    found = {}
    for name in COSTS:
        known = [
            float(result[name]) for _, result in row.results.values() if isinstance(result.get(name), (int, float))
        ]
        if known:
            found[name] = mean_sd(known)[0]
    return found


def _unreported(plan: TablePlan, entries: dict[tuple[str, str], Entry]) -> list[str]:
    """Columns whose metric no finished cell reports."""
    warnings = []
    for column in plan.table.columns.values():
        results = [result for row in plan.rows for _, result in row.part(column.under).results.values()]
        if results and column.metric and not any(entries[row.row.name, column.name].n for row in plan.rows):
            there = list(dict.fromkeys(name for result in results for name in reported(result)))
            if f"test/{column.metric.partition('/')[2]}" in there:
                warnings.append(f"column {column.name}: {column.metric} has no value in any cell")
            else:
                warnings.append(
                    f"column {column.name}: no cell reports {column.metric}; they report {', '.join(there)}"
                )
    return warnings


def open_rows(comparison: Comparison) -> list[str]:
    """Returns the rows for whose verdicts further seeds are needed, in primary columns where some are primary.

    A row all of whose cells failed is not among them, nor what is compared with it.
    """
    plan = comparison.plan
    chosen = any(column.primary for column in plan.table.columns.values())
    lost = {row.row.name for row in plan.rows if row.cells and not any(part.results for part in row.each)}
    wanted = {
        name
        for one, became in comparison.settled.items()
        if not became.code and (one.column.primary or not chosen) and not one.rows & lost
        for name in one.rows
    }
    return [row.row.name for row in plan.rows if row.row.name in wanted]


def verdicts(comparison: Comparison) -> dict[str, int]:
    """How often each verdict was given, of what has noise."""
    given: Sequence[str] = [entry.verdict for entry in comparison.entries.values() if not entry.column.exact]
    return {word: given.count(word) for word in VERDICTS if word in given}

"""A planned table with its numbers: per row and column mean, spread, difference, verdict, and what was published."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exp.tables.claims import Checked, check
from exp.tables.measure import measured, reported
from exp.tables.plan import PlannedRow, TablePlan
from exp.tables.spec import Column, Number, Table
from exp.tables.statistics import (
    MIN_SEEDS,
    Interval,
    Paired,
    exact_verdict,
    holm,
    interval,
    mean_sd,
    paired,
    seeds_needed,
    verdict,
)

VERDICTS = ("better", "worse", "undecided", "within noise", "the same", "not enough seeds")
"""What ``verdict`` says, in the order in which the report counts it."""

COSTS = ("params", "macs", "train_seconds")


@dataclass
class Entry:
    """One row in one column.

    Attributes:
        values: Measured value by seed.
        difference: Against the reference row, paired by seed; None for that row and where no seed is shared.
        p: Holm's p over the rows of the column.
        verdict: ``reference``, ``missing`` or what ``exp.tables.statistics.verdict`` says.
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
    mean: float | None = None
    sd: float | None = None
    mean_interval: Interval | None = None
    difference: Paired | None = None
    p: float | None = None
    verdict: str = "missing"
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
        return len(self.values)


@dataclass
class Comparison:
    """A table with its numbers.

    Attributes:
        entries: By row and column name.
        costs: Mean parameters, MACs and training seconds by row.
        claims: The claims, checked.
        warnings: What is wrong with the table itself, such as a metric that no cell reports.
    """

    plan: TablePlan
    entries: dict[tuple[str, str], Entry]
    costs: dict[str, dict[str, float]]
    claims: list[Checked] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

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
        found = []
        for (row, column), entry in self.entries.items():
            if entry.within is False:
                assert entry.published is not None and entry.mean is not None
                found.append(
                    f"{row} {column}: {entry.mean:.4g} is more than {self.plan.table.tolerance:g} from the published"
                    f" {entry.published.text}"
                )
            if entry.outcome == "did not fail" and entry.row.label.comparable:
                found.append(f"{row} {column}: did not fail, as was published")
        for claim in self.claims:
            found += [f"claim '{claim.claim.text}', {column}: refuted" for column in claim.refuted]
        return list(dict.fromkeys(found))


def compare(plan: TablePlan) -> Comparison:
    """Reads the results of a table's cells and compares them."""
    entries: dict[tuple[str, str], Entry] = {}
    rows = {row.row.name: row for row in plan.rows}
    table = plan.table if all(row.label.same_data for row in plan.rows) else _without_chance(plan.table)
    for column in table.columns.values():
        found = {name: _measured(row, column) for name, row in rows.items()}
        _against_reference(found, table.reference, column)
        for name, entry in found.items():
            _beside_published(entry, table.number(name, column.name), table.tolerance)
            entries[name, column.name] = entry
    values = {key: entry.values for key, entry in entries.items()}
    ended = {name: _ended(row) for name, row in rows.items()}
    claims = [check(claim, table, values, ended) for claim in table.claims if claim.rows <= set(rows)]
    costs = {name: costs_of(row) for name, row in rows.items()}
    return Comparison(plan, entries, costs, claims, _unreported(plan, entries))


def _without_chance(table: Table) -> Table:
    """On other data guessing gives something else."""
    columns = {name: replace(column, chance=None) for name, column in table.columns.items()}
    return replace(table, columns=columns)


def _measured(row: PlannedRow, column: Column) -> Entry:
    values = {}
    for seed, (folder, result) in row.results.items():
        value = measured(folder, result, column.metric)
        if value is not None:
            values[seed] = value
    entry = Entry(row, column, values)
    if values:
        entry.mean, entry.sd = mean_sd(list(values.values()))
        entry.mean_interval = interval(list(values.values()))
        if column.passes:
            entry.passed = sum(map(column.passes, values.values()))
        if column.fails:
            entry.failed = sum(map(column.fails, values.values()))
    return entry


def _against_reference(found: dict[str, Entry], reference: str, column: Column) -> None:
    """Paired differences of all rows to the reference row, corrected together."""
    base = found.get(reference)
    others = [entry for name, entry in found.items() if name != reference]
    for entry in others:
        shared = [seed for seed in entry.values if base and seed in base.values]
        if base and shared:
            entry.difference = paired([entry.values[seed] - base.values[seed] for seed in shared])
    if base and base.values:
        base.verdict = "reference"
    if column.exact:
        for entry in others:
            if entry.difference:
                entry.verdict = exact_verdict(entry.difference.mean, column.higher)
        return
    tests = [entry.difference for entry in others]
    enough = [test.p if test and test.n >= MIN_SEEDS else None for test in tests]
    for entry, corrected in zip(others, holm(enough), strict=True):
        if not entry.values:
            continue
        entry.p = corrected
        entry.verdict = verdict(entry.difference, corrected, column.higher)
        if entry.difference and entry.verdict in ("undecided", "within noise"):
            entry.seeds_needed = seeds_needed(entry.difference.mean, entry.difference.sd)


def _beside_published(entry: Entry, published: Number | None, tolerance: float) -> None:
    entry.published = published
    if published is None:
        return
    if published.value is None:
        entry.outcome = _outcome(entry)
    elif entry.mean is not None and entry.row.label.comparable:
        entry.delta = entry.mean - published.value
        if math.isfinite(tolerance):
            entry.within = abs(entry.delta) <= tolerance + 1e-9


def _outcome(entry: Entry) -> str:
    """A row published as failed has failed if its runs did, or if its interval covers chance."""
    ended = _ended(entry.row)
    if ended and ended <= {"failed", "diverged"}:
        return "failed as published"
    if not entry.values:
        return ""
    chance, around = entry.column.chance, entry.mean_interval
    if chance is None:
        return "did not fail" if entry.row.label.same_data else ""
    assert entry.mean is not None
    low, high = around if around else (entry.mean, entry.mean)
    near = low <= chance <= high or (entry.mean < chance if entry.column.higher else entry.mean > chance)
    return "failed as published" if near else "did not fail"


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
    results = [result for row in plan.rows for _, result in row.results.values()]
    for column in plan.table.columns.values():
        if results and not any(entries[row.row.name, column.name].values for row in plan.rows):
            there = list(dict.fromkeys(name for result in results for name in reported(result)))
            if f"test/{column.metric.partition('/')[2]}" in there:
                warnings.append(f"column {column.name}: {column.metric} has no value in any cell")
            else:
                warnings.append(
                    f"column {column.name}: no cell reports {column.metric}; they report {', '.join(there)}"
                )
    return warnings


def verdicts(comparison: Comparison) -> dict[str, int]:
    """How often each verdict was given, of what has noise."""
    given: Sequence[str] = [entry.verdict for entry in comparison.entries.values() if not entry.column.exact]
    return {word: given.count(word) for word in VERDICTS if word in given}

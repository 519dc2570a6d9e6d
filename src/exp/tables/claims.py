"""A source's sentences as checks: what the runs say, and what the source's own numbers say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exp.tables.spec import Claim, Column, Table
from exp.tables.statistics import ALPHA, MIN_SEEDS, exact_verdict, holm, interval, mean_sd, paired

Values = Mapping[tuple[str, str], Mapping[int, float]]
"""Measured values by row and column, then by seed."""


@dataclass
class Checked:
    """A claim with what became of it.

    Attributes:
        verdicts: By column: ``supported``, ``refuted`` or ``undecided``.
        details: By column: what that rests on.
        published: By column: whether the source's own numbers say so, None where it gives none.
    """

    claim: Claim
    verdicts: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    published: dict[str, bool | None] = field(default_factory=dict)

    @property
    def refuted(self) -> list[str]:
        """Columns in which it is refuted."""
        return [column for column, verdict in self.verdicts.items() if verdict == "refuted"]


def check(claim: Claim, table: Table, values: Values, ended: Mapping[str, set[str]]) -> Checked:
    """Checks a claim in each of its columns.

    Args:
        claim: The claim.
        table: Its table.
        values: What was measured.
        ended: How a row's cells ended; empty while one is open.
    """
    checked = Checked(claim)
    for name in claim.columns:
        column = table.columns[name]
        if claim.order:
            verdict, detail = (_counted if column.exact else _ordered)(claim, column, values)
            agrees = _published_order(claim, column, table)
        elif claim.bound:
            verdict, detail = _bounded(claim, column, values)
            number = table.number(claim.row, name)
            agrees = None if number is None or number.value is None else claim.bound(number.value)
        else:
            verdict, detail = _fails(claim.row, column, values, ended)
            number = table.number(claim.row, name)
            agrees = None if number is None else number.value is None
        checked.verdicts[name], checked.details[name], checked.published[name] = verdict, detail, agrees
    return checked


def _ordered(claim: Claim, column: Column, values: Values) -> tuple[str, str]:
    """Supported where every pair differs the claimed way, refuted where one differs the other way.

    All pairs have to hold at 5 % each, so that support needs no correction; a refutation is the worst of several and is
    corrected after Holm.
    """
    tests = []
    for first, second in claim.pairs:
        a, b = values.get((first, column.name), {}), values.get((second, column.name), {})
        shared = [seed for seed in a if seed in b]
        if len(shared) < MIN_SEEDS:
            return "undecided", f"{first} and {second} share {len(shared)} seeds; {MIN_SEEDS} are the least"
        tests.append((first, second, paired([a[seed] - b[seed] for seed in shared])))
    corrected = holm([test.p for _, _, test in tests])
    sign = 1 if column.higher else -1
    details = []
    refuted = supported = 0
    for (first, second, test), p in zip(tests, corrected, strict=True):
        assert test.p is not None and p is not None
        holds = sign * test.mean > 0
        supported += holds and test.p < ALPHA
        refuted += not holds and test.mean != 0 and p < ALPHA
        details.append(f"{first} - {second} = {test.mean:+.3g} (p {test.p:.2g}, n {test.n})")
    verdict = "refuted" if refuted else "supported" if supported == len(tests) else "undecided"
    return verdict, ", ".join(details)


def _counted(claim: Claim, column: Column, values: Values) -> tuple[str, str]:
    """Of what has no noise: supported where every pair differs the claimed way, refuted otherwise."""
    holds, details = [], []
    for first, second in claim.pairs:
        a, b = values.get((first, column.name), {}), values.get((second, column.name), {})
        shared = [seed for seed in a if seed in b]
        if not shared:
            return "undecided", f"{first} and {second} share no seed"
        difference = a[shared[0]] - b[shared[0]]
        holds.append(exact_verdict(difference, column.higher) == "better")
        details.append(f"{first} - {second} = {difference:+,.6g} (a count)")
    return "supported" if all(holds) else "refuted", ", ".join(details)


def _published_order(claim: Claim, column: Column, table: Table) -> bool | None:
    """Whether the source's own numbers are in that order; None where one of them is not given."""
    holds = []
    for better, worse in claim.pairs:
        first, second = table.number(better, column.name), table.number(worse, column.name)
        if first is None or second is None or first.value is None or second.value is None:
            return None
        holds.append(first.value > second.value if column.higher else first.value < second.value)
    return all(holds)


def _bounded(claim: Claim, column: Column, values: Values) -> tuple[str, str]:
    """Supported where the whole interval of the mean keeps the bound, refuted where the whole interval breaks it."""
    assert claim.bound is not None
    measured = list(values.get((claim.row, column.name), {}).values())
    if len(measured) < MIN_SEEDS:
        return "undecided", f"{claim.row} has {len(measured)} seeds; {MIN_SEEDS} are the least"
    around = interval(measured)
    assert around is not None
    kept = [claim.bound(edge) for edge in around]
    detail = f"{claim.row} = {mean_sd(measured)[0]:.3g} [{around[0]:.3g}, {around[1]:.3g}], claimed {claim.bound}"
    return ("supported" if all(kept) else "undecided" if any(kept) else "refuted"), detail


def _fails(row: str, column: Column, values: Values, ended: Mapping[str, set[str]]) -> tuple[str, str]:
    """Supported where all runs failed or the interval covers chance, refuted where it lies above."""
    states = ended.get(row, set())
    if states and states <= {"failed", "diverged"}:
        return "supported", f"all runs of {row} ended as {' and '.join(sorted(states))}"
    measured = list(values.get((row, column.name), {}).values())
    if column.chance is None or len(measured) < MIN_SEEDS:
        return "undecided", f"{row} has {len(measured)} measured seeds" + ("" if column.chance else "; chance unknown")
    around = interval(measured)
    assert around is not None
    low = around[0] if column.higher else -around[1]
    chance = column.chance if column.higher else -column.chance
    detail = f"{row} = {mean_sd(measured)[0]:.3g} [{around[0]:.3g}, {around[1]:.3g}], chance {column.chance:g}"
    return ("refuted" if low > chance else "supported"), detail

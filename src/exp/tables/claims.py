"""A source's sentences as checks: what the runs say, and what the source's own numbers say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exp.tables.hypotheses import CONTRADICTED, SUPPORTED, Hypothesis, Values, failing, of
from exp.tables.spec import Bound, Claim, Column, Table
from exp.tables.statistics import MIN_SEEDS, exact_verdict, interval, mean_sd, paired

SAID = {SUPPORTED: "supported", CONTRADICTED: "refuted"}


@dataclass(frozen=True)
class Settled:
    """What became of a hypothesis.

    Attributes:
        code: See ``exp.tables.hypotheses``.
        p: p corrected over the whole table, None where nothing was tested.
        look: Number of the look it rests on.
    """

    code: int = 0
    p: float | None = None
    look: int = 0


Verdicts = Mapping[Hypothesis, Settled]


@dataclass
class Checked:
    """A claim with what became of it.

    Attributes:
        verdicts: By column: ``supported``, ``refuted`` or ``undecided``.
        details: By column: what that rests on.
        ps: By column: p corrected over the table's claims; None where there is no test.
        published: By column: whether the source's own numbers say so, None where it gives none.
    """

    claim: Claim
    verdicts: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    ps: dict[str, float | None] = field(default_factory=dict)
    published: dict[str, bool | None] = field(default_factory=dict)

    @property
    def refuted(self) -> list[str]:
        """Columns in which it is refuted."""
        return [column for column, verdict in self.verdicts.items() if verdict == "refuted"]


def check(
    claim: Claim,
    table: Table,
    values: Values,
    ended: Mapping[tuple[str, str], set[str]],
    settled: Verdicts,
    without_chance: bool,
) -> Checked:
    """Checks a claim in each of its columns.

    Args:
        claim: The claim.
        table: Its table.
        values: What was measured.
        ended: How the cells of a row and column ended; empty while one is open.
        settled: What became of the table's hypotheses.
        without_chance: Whether chance is unknown because the data are others than the table's.
    """
    checked = Checked(claim)
    for name in claim.columns:
        column = table.columns[name]
        if claim.order or claim.bound:
            verdict, detail, p = _tested(claim, column, table, values, settled)
        else:
            verdict, detail, p = fails(claim.row, column, table, values, ended, settled)
            if verdict == "undecided" and without_chance:
                detail += "; chance on these data is not known"
        checked.verdicts[name], checked.details[name], checked.ps[name] = verdict, detail, p
        checked.published[name] = _published(claim, column, table)
    return checked


def _tested(
    claim: Claim, column: Column, table: Table, values: Values, settled: Verdicts
) -> tuple[str, str, float | None]:
    hypothesis = of(claim, column, table)
    if hypothesis is None:
        return (*(_counted(claim, column, values) if claim.order else _bounded_count(claim, column, values)), None)
    became = settled.get(hypothesis, Settled())
    details = (
        _pairs(claim, column, values) if claim.order else _around(claim.row, column, values, f"claimed {claim.bound}")
    )
    return SAID.get(became.code, "undecided"), details, became.p


def _pairs(claim: Claim, column: Column, values: Values) -> str:
    details = []
    for first, second in claim.pairs:
        a, b = values.get((first, column.name), {}), values.get((second, column.name), {})
        shared = [seed for seed in a if seed in b]
        if len(shared) < MIN_SEEDS:
            return f"{first} and {second} share {len(shared)} seeds; {MIN_SEEDS} are the least"
        if column.censored:
            ahead = sum(a[seed] > b[seed] if column.higher else a[seed] < b[seed] for seed in shared)
            details.append(f"{first} before {second} in {ahead} of {len(shared)} seeds, by ranks")
            continue
        test = paired([a[seed] - b[seed] for seed in shared])
        effect = "" if test.effect is None else f", {test.effect:+.1f} sd"
        details.append(f"{first} - {second} = {test.mean:+.3g}{effect} (n {test.n})")
    return ", ".join(details)


def _around(row: str, column: Column, values: Values, against: str) -> str:
    measured = list(values.get((row, column.name), {}).values())
    if len(measured) < MIN_SEEDS:
        return f"{row} has {len(measured)} measured seeds; {MIN_SEEDS} are the least"
    around = interval(measured)
    assert around is not None
    return f"{row} = {mean_sd(measured)[0]:.3g} [{around[0]:.3g}, {around[1]:.3g}], {against}"


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


def _bounded_count(claim: Claim, column: Column, values: Values) -> tuple[str, str]:
    """Of what has no noise: whether one seed's value keeps the bound."""
    assert claim.bound is not None
    measured = list(values.get((claim.row, column.name), {}).values())
    if not measured:
        return "undecided", f"{claim.row} has no measured seed"
    detail = f"{claim.row} = {measured[0]:,.6g} (a count), claimed {claim.bound}"
    return ("supported" if claim.bound(measured[0]) else "refuted"), detail


def fails(
    row: str, column: Column, table: Table, values: Values, ended: Mapping[tuple[str, str], set[str]], settled: Verdicts
) -> tuple[str, str, float | None]:
    """Whether a row that is said to fail does: by how its runs ended, by the source's criterion, or by chance.

    By chance it fails where its mean is shown to be no more than the tolerance better than guessing, and does not where
    it is shown to be better than guessing.

    Returns:
        ``supported``, ``refuted`` or ``undecided``; what that rests on; the corrected p where it is a test.
    """
    states = ended.get((row, column.name), set())
    if states and states <= {"failed", "diverged"}:
        return "supported", f"all runs of {row} ended as {' and '.join(sorted(states))}", None
    measured = list(values.get((row, column.name), {}).values())
    criterion = column.fails or column.passes
    if criterion is not None:
        return (*_by_criterion(row, column, criterion, measured), None)
    if column.chance is None:
        return "undecided", f"{row} has {len(measured)} measured seeds, and nothing says when it fails", None
    hypothesis = failing(row, column, table)
    became = settled.get(hypothesis, Settled()) if hypothesis is not None else Settled()
    detail = _around(row, column, values, f"chance {column.chance:g}")
    return SAID.get(became.code, "undecided"), detail, became.p


def _by_criterion(row: str, column: Column, criterion: Bound, measured: list[float]) -> tuple[str, str]:
    """The source's own criterion, run by run; failed where all runs fail by it, not where none does."""
    least = 1 if column.exact else MIN_SEEDS
    if len(measured) < least:
        return "undecided", f"{row} has {len(measured)} measured seeds; {least} are the least"
    failed = sum(criterion(value) == (column.fails is not None) for value in measured)
    words = f"fails {criterion}" if column.fails else f"passes {criterion}"
    detail = f"{failed} of {len(measured)} runs of {row} fail by the criterion ({words})"
    verdict = "supported" if failed == len(measured) else "refuted" if not failed else "undecided"
    return verdict, detail


def _published(claim: Claim, column: Column, table: Table) -> bool | None:
    """Whether the source's own numbers say so; None where one of them is not given."""
    if claim.order:
        holds = []
        for better, worse in claim.pairs:
            first, second = table.number(better, column.name), table.number(worse, column.name)
            if first is None or second is None or first.value is None or second.value is None:
                return None
            holds.append(first.value > second.value if column.higher else first.value < second.value)
        return all(holds)
    number = table.number(claim.row, column.name)
    if number is None:
        return None
    if claim.bound:
        return None if number.value is None else claim.bound(number.value)
    return number.value is None

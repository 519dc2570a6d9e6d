"""What a table tests: every row against the reference and every claim, column by column, as one family-wise procedure.

A value may be a number or an array of draws; the simulation of the error rate runs the code that judges a table.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exp.tables.spec import Bound, Claim, Column, Table
from exp.tables.statistics import ALPHA, MIN_SEEDS, Array, holm, rank_tails, tails

ROWS, CLAIMS = "rows", "claims"
"""The families of a table; where it has both, each has half of the table's error."""
PRIMARY_SHARE = 0.8
"""Part of a family's error that primary columns have, where some columns are primary and others not."""

SUPPORTED, CONTRADICTED, SAME = 1, -1, 2
"""Codes of verdicts: the stated direction, the opposite one, no difference beyond the tolerance. 0 is none."""

Values = Mapping[tuple[str, str], Mapping[int, Any]]
"""Measured values by row and column, then by seed; infinite where a censored value was never reached."""


@dataclass(frozen=True)
class Evidence:
    """What values say on a hypothesis.

    Attributes:
        n: Seeds.
        supports: One-sided p of the stated direction.
        contradicts: One-sided p of the opposite direction.
        same: p of a difference as large as the tolerance (two one-sided tests), nan where there is no tolerance.
    """

    n: int
    supports: Array
    contradicts: Array
    same: Array

    @property
    def direction(self) -> Array:
        """Two-sided p of no difference in a direction."""
        return np.minimum(1.0, 2 * np.minimum(self.supports, self.contradicts))

    @property
    def p(self) -> Array:
        """P of any verdict. At no true difference can both a direction and "the same" be false, so they share it."""
        return np.fmin(self.direction, self.same)


@dataclass(frozen=True)
class Hypothesis:
    """One comparison in one column that a verdict may come from.

    Attributes:
        family: ``rows`` or ``claims``.
        name: The row, or the claim's text.
        column: The column.
        pairs: Rows of which the first is stated to be better; all pairs have to hold.
        row: The row that a bound or a failure is stated of.
        bound: The bound that its mean is stated to keep.
        chance: What guessing gives, where the row is stated to fail.
        tolerance: How small a difference does not matter.
    """

    family: str
    name: str
    column: Column
    pairs: tuple[tuple[str, str], ...] = ()
    row: str = ""
    bound: Bound | None = None
    chance: float | None = None
    tolerance: float = math.inf

    @property
    def rows(self) -> set[str]:
        """The rows whose cells it needs."""
        return {self.row} if self.row else {name for pair in self.pairs for name in pair}

    @property
    def both_ways(self) -> bool:
        """Whether it is tested for a difference and for its absence."""
        return self.family == ROWS and math.isfinite(self.tolerance) and not self.column.censored

    def evidence(self, values: Values, seeds: Sequence[int] | None = None) -> Evidence | None:
        """Returns what values say, None below three seeds.

        Args:
            values: The values.
            seeds: Seeds to look at; all where None.
        """
        if self.pairs:
            return self._of_pairs(values, seeds)
        measured = self._stacked(values.get((self.row, self.column.name), {}), None, seeds)
        if measured is None:
            return None
        nothing = np.full(measured.shape[1:], np.nan)
        if self.bound is not None:
            above, below = self._tails(measured, self.bound.value)
            keeps, breaks = (below, above) if self.bound.sign.startswith("<") else (above, below)
            return Evidence(len(measured), keeps, breaks, nothing)
        assert self.chance is not None
        sign = 1 if self.column.higher else -1
        better, _ = self._tails(sign * measured, sign * self.chance)
        if math.isinf(self.tolerance):
            return Evidence(len(measured), np.ones_like(better), better, nothing)
        _, near = self._tails(sign * measured, sign * self.chance + self.tolerance)
        return Evidence(len(measured), near, better, nothing)

    def _of_pairs(self, values: Values, seeds: Sequence[int] | None) -> Evidence | None:
        """Support needs every pair, so that the largest p counts; one pair contradicts, after Bonferroni."""
        sign = 1 if self.column.higher else -1
        supports, contradicts, stacked = [], [], []
        for first, second in self.pairs:
            a, b = values.get((first, self.column.name), {}), values.get((second, self.column.name), {})
            differences = self._stacked(a, b, seeds)
            if differences is None:
                return None
            above, below = self._tails(sign * differences, 0.0)
            supports.append(above)
            contradicts.append(below)
            stacked.append(differences)
        same = np.full(np.shape(supports[0]), np.nan)
        if self.both_ways:
            same = np.maximum(tails(stacked[0], -self.tolerance)[0], tails(stacked[0], self.tolerance)[1])
        worst = np.minimum(1.0, len(self.pairs) * np.min(contradicts, axis=0))
        return Evidence(min(map(len, stacked)), np.max(supports, axis=0), worst, same)

    def _tails(self, values: Array, at: float) -> tuple[Array, Array]:
        return rank_tails(values - at) if self.column.censored else tails(values, at)

    def _stacked(self, a: Mapping[int, Any], b: Mapping[int, Any] | None, seeds: Sequence[int] | None) -> Array | None:
        """Returns values, or differences to another row's, along a first axis of seeds."""
        shared = [seed for seed in (a if seeds is None else seeds) if seed in a and (b is None or seed in b)]
        if len(shared) < MIN_SEEDS:
            return None
        first = np.stack([np.asarray(a[seed], dtype=float) for seed in shared])
        if b is None:
            return first
        second = np.stack([np.asarray(b[seed], dtype=float) for seed in shared])
        both = np.isinf(first) & np.isinf(second)  # never reached in either row
        return np.where(both, 0.0, np.where(both, 0.0, first) - np.where(both, 0.0, second))


def hypotheses(table: Table, rows: Iterable[str]) -> list[Hypothesis]:
    """Returns everything that a table tests: each row against the reference, each claim, each published failure.

    Args:
        table: The table; without chance where its data are others.
        rows: The rows that can run.
    """
    rows = list(rows)
    noisy = [column for column in table.columns.values() if not column.exact]
    found = [of_row(name, column, table) for column in noisy for name in rows if _compared(name, table, rows)]
    for claim in table.claims:
        if claim.rows <= set(rows):
            of_claim = (of(claim, table.columns[name], table) for name in claim.columns)
            found += [one for one in of_claim if one is not None]
    for number in table.published:
        if number.value is None and number.row in rows:
            failure = failing(number.row, table.columns[number.column], table)
            found += [failure] if failure is not None else []
    return list(dict.fromkeys(found))


def _compared(row: str, table: Table, rows: Sequence[str]) -> bool:
    return row != table.reference_of(row) and table.reference_of(row) in rows


def of_row(row: str, column: Column, table: Table) -> Hypothesis:
    """Returns that a row is better than the one it is compared with."""
    pairs = ((row, table.reference_of(row)),)
    return Hypothesis(ROWS, row, column, pairs, tolerance=table.tolerance_of(column))


def of(claim: Claim, column: Column, table: Table) -> Hypothesis | None:
    """Returns what a claim states in a column, None where that needs no test or cannot be tested."""
    if column.exact:
        return None
    if claim.order:
        return Hypothesis(CLAIMS, claim.text, column, tuple(claim.pairs))
    if claim.bound:
        return Hypothesis(CLAIMS, claim.text, column, row=claim.row, bound=claim.bound)
    return failing(claim.row, column, table)


def failing(row: str, column: Column, table: Table) -> Hypothesis | None:
    """Returns that a row is no better than guessing; None where the source has a criterion, or chance is unknown."""
    if column.exact or column.chance is None or column.fails or column.passes:
        return None
    tolerance = table.tolerance_of(column)
    return Hypothesis(CLAIMS, f"{row} fails", column, row=row, chance=column.chance, tolerance=tolerance)


def weights(tested: Sequence[Hypothesis]) -> Array:
    """Returns each hypothesis's share of the table's error; they add up to 1.

    Families have equal parts. Within one, primary columns have ``PRIMARY_SHARE`` where there are others too.
    """
    groups = [(one.family, one.column.primary) for one in tested]
    families = {family for family, _ in groups}
    shares = []
    for family, primary in groups:
        mixed = (family, not primary) in groups
        part = (PRIMARY_SHARE if primary else 1 - PRIMARY_SHARE) if mixed else 1.0
        shares.append(part / len(families) / groups.count((family, primary)))
    return np.array(shares)


@dataclass(frozen=True)
class Look:
    """A moment at which a table is judged.

    Attributes:
        seeds: Seeds that are looked at; None for all there are.
        share: Part of the table's error that is spent at it.
    """

    seeds: tuple[int, ...] | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Judged:
    """What became of every hypothesis, in their order.

    Attributes:
        evidence: What the last look at it rests on, None where nothing could be tested.
        p: Corrected p, of the look that decided it or else the last one; nan where nothing was tested.
        codes: ``SUPPORTED``, ``CONTRADICTED``, ``SAME`` or 0.
        look: Number of the look that decided it or else of the last one at it, from 1; 0 where there was none.
    """

    evidence: list[Evidence | None]
    p: Array
    codes: Array
    look: Array


def judge(
    tested: Sequence[Hypothesis],
    values: Values,
    looks: Sequence[Look] = (Look(),),
    *,
    ready: Callable[[Hypothesis, Look], bool] = lambda hypothesis, look: True,
    finished: Callable[[Hypothesis], bool] = lambda hypothesis: True,
) -> Judged:
    """Judges all hypotheses of a table so that any false verdict is as rare as 5 %.

    At each look weighted Holm spends the look's share of the error on what is still open; what an earlier look decided
    stays decided and hands its weight on (Maurer and Bretz, Stat. Biopharm. Res. 2013). What is tested both ways keeps
    its weight, as there is a false verdict to be had of it whatever the truth.

    Args:
        tested: The hypotheses.
        values: The values.
        looks: The looks, fixed before the first.
        ready: Whether the rows of a hypothesis have all the seeds of a look; others wait, and keep their weight.
        finished: Whether no further value will come; what has too few then is no test.
    """
    share = weights(tested)
    evidence: list[Evidence | None] = [None] * len(tested)
    shape = next((np.shape(one) for by_seed in values.values() for one in by_seed.values()), ())
    codes, at = np.zeros((len(tested), *shape), dtype=int), np.zeros((len(tested), *shape), dtype=int)
    corrected = np.full((len(tested), *shape), np.nan)
    columns = (slice(None), *(None for _ in shape))
    keeps = np.array([one.both_ways for one in tested], dtype=bool)[columns]
    for number, look in enumerate(looks, start=1):
        seen = [one.evidence(values, look.seeds) if ready(one, look) else None for one in tested]
        raw = np.full((len(tested), *shape), np.nan)
        for i, one in enumerate(tested):
            if (there := seen[i]) is not None:
                evidence[i], raw[i] = there, there.p
            elif not finished(one) or not ready(one, look):
                raw[i] = 1.0
        open_ = codes == 0
        left = np.where(open_, raw, np.where(keeps, 1.0, np.nan))
        adjusted = np.minimum(1.0, holm(left, share[columns], keeps) / look.share)
        looked = np.array([one is not None for one in seen], dtype=bool)[columns] & open_
        corrected, at = np.where(looked, adjusted, corrected), np.where(looked, number, at)
        for i, shown in enumerate(seen):
            if shown is not None:
                codes[i] = np.where(looked[i] & (adjusted[i] < ALPHA), _code(shown, raw[i], adjusted[i]), codes[i])
    return Judged(evidence, corrected, codes, at)


def _code(evidence: Evidence, raw: Array, adjusted: Array) -> Array:
    """Returns the verdict of hypotheses that are decided: a direction where it would be without "the same" too."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_direction = np.where(evidence.direction <= raw, adjusted, adjusted * evidence.direction / raw)
    side = np.where(evidence.supports <= evidence.contradicts, SUPPORTED, CONTRADICTED)
    return np.where(of_direction < ALPHA, side, SAME)

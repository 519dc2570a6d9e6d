"""The error rate of whole tables, simulated: any false verdict in at most one table of twenty."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from exp.tables import hypotheses as module
from exp.tables.hypotheses import (
    CLAIMS,
    CONTRADICTED,
    ROWS,
    SAME,
    SUPPORTED,
    Hypothesis,
    Look,
    Values,
    hypotheses,
    judge,
    weights,
)
from exp.tables.looks import extended, started
from exp.tables.reading import load, names
from exp.tables.spec import Bound, Column, Table
from exp.tables.statistics import ALPHA

DRAWS = 2000
SPREAD = 2.6 * math.sqrt(ALPHA * (1 - ALPHA) / DRAWS)
"""A rate of 5 % is seen higher than 5 % and this in one case of 200."""
TESTED = [name for name in names() if hypotheses(load(name), load(name).rows)]


def null(table: Table) -> list[Hypothesis]:
    """A table's hypotheses, with every bound and chance at zero, where the simulated means are."""
    return [
        dataclasses.replace(
            one,
            bound=one.bound and Bound(one.bound.sign, 0.0),
            chance=None if one.chance is None else 0.0,
            tolerance=0.5,
        )
        for one in hypotheses(table, table.rows)
    ]


def drawn(tested: Sequence[Hypothesis], seeds: Sequence[int], generator: np.random.Generator, **means: float) -> Values:
    """Values of all rows and columns with no difference but ``means`` of rows; a seed shifts all rows alike."""
    needed = sorted({(row, one.column.name) for one in tested for row in one.rows})
    shared = {(column, seed): generator.normal(size=DRAWS) for column in {c for _, c in needed} for seed in seeds}
    return {
        (row, column): {
            seed: means.get(row, 0.0) + shared[column, seed] + generator.normal(size=DRAWS) for seed in seeds
        }
        for row, column in needed
    }


def wrong(one: Hypothesis, codes: np.ndarray) -> np.ndarray:
    """Where a verdict is false although there is no difference: a direction; of a failure, that it did not fail."""
    return codes == CONTRADICTED if one.chance is not None else (codes == SUPPORTED) | (codes == CONTRADICTED)


def rate(tested: list[Hypothesis], values: Values, looks: Sequence[Look] = (Look(),)) -> float:
    codes = judge(tested, values, looks).codes
    return float(np.any([wrong(one, code) for one, code in zip(tested, codes, strict=True)], axis=0).mean())


@pytest.mark.parametrize("name", TESTED)
def test_any_false_verdict_is_rare_in_tables_of_this_shape(name: str) -> None:
    table = load(name)
    tested = null(table)
    assert rate(tested, drawn(tested, table.seeds, np.random.default_rng(0))) <= ALPHA + SPREAD


@pytest.mark.parametrize("name", ["modules", "gait", "step2"])
def test_without_the_correction_they_are_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: tests one by one at 5 % give false verdicts in far more tables."""
    table = load(name)
    tested = null(table)
    monkeypatch.setattr(module, "holm", lambda ps, *_: ps)
    assert rate(tested, drawn(tested, table.seeds, np.random.default_rng(0))) > 0.2


@pytest.mark.parametrize("name", ["kernel", "modules", "gait"])
def test_seeds_added_at_looks_keep_the_rate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = load(name)
    tested = null(table)
    schedule = started(table.seeds, None)
    looks = schedule.looks(table.seeds)
    assert sum(look.share for look in looks) == pytest.approx(1.0)
    values = drawn(tested, extended(table.seeds, schedule.sizes[-1]), np.random.default_rng(1))
    assert rate(tested, values, looks) <= ALPHA + SPREAD
    spent_at_every_look = [dataclasses.replace(look, share=1.0) for look in looks]
    assert rate(tested, values, spent_at_every_look) > ALPHA + SPREAD, "looking four times at 5 % is seen"


def rows_of(number: int, tolerance: float, columns: int = 1) -> list[Hypothesis]:
    return [
        Hypothesis(ROWS, f"r{row}", Column(f"c{column}", "test/x"), ((f"r{row}", "reference"),), tolerance=tolerance)
        for row in range(number)
        for column in range(columns)
    ]


@pytest.mark.parametrize("far", [0, 2, 4])
@pytest.mark.parametrize("seeds", [5, 20])
def test_equivalence_is_as_rarely_false(far: int, seeds: int) -> None:
    """Some rows differ by just the tolerance, where "the same" is false, the others by nothing."""
    tested = rows_of(4, tolerance=1.0)
    means = {f"r{row}": 1.0 for row in range(far)}
    values = drawn(tested, range(seeds), np.random.default_rng(far), **means)
    codes = judge(tested, values).codes
    false = [
        (code == SAME) | (code == CONTRADICTED) if one.name in means else (code == SUPPORTED) | (code == CONTRADICTED)
        for one, code in zip(tested, codes, strict=True)
    ]
    assert float(np.any(false, axis=0).mean()) <= ALPHA + SPREAD


def test_no_difference_is_found_where_there_is_none() -> None:
    """With seeds enough, "the same within" is what most rows without a difference come to."""
    tested = rows_of(4, tolerance=1.5)
    codes = judge(tested, drawn(tested, range(30), np.random.default_rng(5))).codes
    assert float((codes == SAME).mean()) > 0.9


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_a_difference_is_found_in_its_direction(shift: float) -> None:
    tested = rows_of(2, tolerance=0.1)
    codes = judge(tested, drawn(tested, range(30), np.random.default_rng(6), r0=3 * shift)).codes
    assert float((codes[0] == (SUPPORTED if shift > 0 else CONTRADICTED)).mean()) > 0.99
    assert float((codes[1] == 0).mean()) > 0.9


def one(values: list[float], **options: float) -> tuple[int, float]:
    """Code and p of a table of one row whose differences to the reference are these."""
    tested = rows_of(1, **({"tolerance": math.inf} | options))
    measured = {("r0", "c0"): dict(enumerate(values)), ("reference", "c0"): dict.fromkeys(range(len(values)), 0.0)}
    judged = judge(tested, measured)
    return int(judged.codes[0]), float(judged.p[0])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([2.0, 2.1, 1.9, 2.05], SUPPORTED),
        ([-2.0, -2.1, -1.9, -2.05], CONTRADICTED),
        ([2.0, -1.0, 0.5], 0),
        ([100.0] * 5, 0),
        ([100.0] * 6, SUPPORTED),
        ([2.0, 2.1], 0),
    ],
)
def test_codes(values: list[float], code: int) -> None:
    """Five seeds agree by chance in one case out of sixteen; below three nothing is tested."""
    assert one(values)[0] == code
    assert math.isnan(one(values)[1]) == (len(values) < 3)


def test_the_same_within_needs_a_tolerance() -> None:
    near = [0.1, -0.1, 0.05, -0.05]
    assert one(near)[0] == 0
    assert one(near, tolerance=1.0)[0] == SAME
    assert one([0.5, 0.6, 0.55, 0.52], tolerance=1.0)[0] == SUPPORTED, "a difference, though a small one"


def test_a_claim_of_several_pairs_needs_all_and_is_contradicted_by_one() -> None:
    column = Column("c", "test/x", higher=False)
    claim = Hypothesis(CLAIMS, "t", column, (("a", "b"), ("a", "c")))
    low, mid, high = ({s: base + 0.1 * (s % 2) for s in range(4)} for base in (1.0, 1.05, 5.0))

    def code(a: dict[int, float], b: dict[int, float], c: dict[int, float]) -> int:
        noise = {s: v + 0.01 * s for s, v in a.items()}
        return int(judge([claim], {("a", "c"): noise, ("b", "c"): b, ("c", "c"): c}).codes[0])

    assert code(low, high, high) == SUPPORTED
    assert code(low, high, mid) == 0 or code(low, high, low) == 0
    assert code(high, low, high) == CONTRADICTED


def test_what_is_still_to_come_keeps_its_weight() -> None:
    """A verdict does not fade as further rows of the same table arrive."""
    tested = rows_of(4, math.inf)
    values = {("reference", "c0"): {0: 0.0, 1: 0.1, 2: -0.1}, ("r0", "c0"): {0: 1.0, 1: 1.2, 2: 0.9}}
    alone = judge(tested, values).p[0]
    waiting = judge(tested, values, finished=lambda hypothesis: False).p[0]
    assert waiting == pytest.approx(4 * alone)


def test_weights_go_to_families_by_half_and_to_primary_columns_first() -> None:
    def of(family: str, primary: bool) -> Hypothesis:
        return Hypothesis(family, "r", Column("c", "test/x", primary=primary), (("r", "s"),))

    assert weights([of(ROWS, False), of(ROWS, False)]).tolist() == [0.5, 0.5]
    assert weights([of(ROWS, False), of(CLAIMS, False), of(CLAIMS, False)]).tolist() == [0.5, 0.25, 0.25]
    assert weights([of(ROWS, True), of(ROWS, False), of(ROWS, False)]) == pytest.approx([0.8, 0.1, 0.1])


def test_a_row_that_waits_for_its_look_is_not_judged_before() -> None:
    tested = rows_of(2, math.inf)
    values = {
        (row, "c0"): {s: shift + 0.1 * (s % 3) * k for s in range(6)}
        for row, shift, k in (("r0", 9, 1), ("r1", 9, 2), ("reference", 0, 3))
    }
    looks = (Look((0, 1, 2), 0.5), Look((0, 1, 2, 3, 4, 5), 0.5))
    ready: Callable[[Hypothesis, Look], bool] = lambda one, look: look is looks[0] or one.name == "r0"  # noqa: E731
    judged = judge(tested, values, looks, ready=ready)
    assert judged.look.tolist()[1] == 1
    assert judged.evidence[1] is not None
    assert judged.evidence[1].n == 3

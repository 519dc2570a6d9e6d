import math
from pathlib import Path
from typing import ClassVar

import pytest
import scipy.stats

from exp.tables import words
from exp.tables.claims import check
from exp.tables.compare import compare, verdicts
from exp.tables.measure import measured
from exp.tables.plan import Planner
from exp.tables.reading import load
from exp.tables.spec import Bound, Claim
from tests.tables.cells import QUICK, compared, fail, fill, finish

SEEDS = [*QUICK, "seed=0,1,2,3,4"]
VALUES = {
    "triplet": [97.0, 96.5, 97.4, 96.9, 97.1],
    "none": [95.1, 94.6, 95.9, 94.8, 95.0],
    "ca": [97.4, 96.1, 97.9, 96.9, 97.6],
    "tripletca": [97.9, 97.8, 98.1, 97.7, 98.0],
    "tripletlka": [96.0],
}


def test_numbers_are_scipys(tmp_path: Path) -> None:
    comparison = compared(tmp_path, "modules", SEEDS, VALUES)
    ps = {row: scipy.stats.ttest_rel(VALUES[row], VALUES["triplet"]).pvalue for row in ("none", "ca", "tripletca")}
    order = sorted(ps, key=ps.__getitem__)
    expected, reached = {}, 0.0
    for rank, row in enumerate(order):
        reached = max(reached, min(1.0, ps[row] * (len(order) - rank)))
        expected[row] = reached
    for row, p in expected.items():
        entry = comparison.entry(row, "top1")
        assert entry.difference is not None
        assert entry.p == pytest.approx(p, rel=1e-9)
        assert entry.difference.p == pytest.approx(ps[row], rel=1e-9)
        assert entry.n == 5
    said = {row: comparison.entry(row, "top1").verdict for row in VALUES}
    assert said == {
        "triplet": "reference",
        "none": "worse",
        "ca": "within noise",
        "tripletca": "better",
        "tripletlka": "not enough seeds",
    }
    assert comparison.entry("ca", "top1").seeds_needed
    assert verdicts(comparison)["better"] >= 1


def test_pairs_are_of_the_same_seed(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    plan = planner.plan("modules", SEEDS)
    by_name = {row.row.name: row for row in plan.rows}
    for seed in (0, 1, 2, 4):
        finish(by_name["triplet"].cells[seed], test={"top1": 90.0 + seed})
    for seed in (4, 2, 0, 3):
        finish(by_name["ca"].cells[seed], test={"top1": 91.0 + seed})
    entry = compare(planner.plan("modules", SEEDS)).entry("ca", "top1")
    assert entry.difference is not None
    assert (entry.difference.n, entry.difference.mean) == (3, 1.0)


def test_less_may_be_better(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("demo", [*QUICK, "seed=0,1,2", "trainer.max_epochs=2"])
    for row in plan.rows:
        for one in row.cells:
            seconds = (5.0 if row.row.name == "relu" else 9.0) + 0.1 * one.seed**2
            finish(one, test={"top1": 90.0, "top5": 99.0}, train_seconds=seconds)
    comparison = compare(Planner(tmp_path).plan("demo", [*QUICK, "seed=0,1,2", "trainer.max_epochs=2"]))
    assert comparison.entry("gelu", "seconds").verdict != "better"
    claim = next(one for one in comparison.claims if "gelu" in one.claim.text)
    assert claim.verdicts["top1 epoch 1"] == "undecided"


def test_a_count_has_no_noise(tmp_path: Path) -> None:
    """Parameters are the same for every seed: no p, no interval, and one seed decides a claim."""
    given = [*QUICK, "seed=0"]
    sizes = {"full": 727_416, "without depthwise branches": 727_320, "without coordinates": 725_528}
    plan = Planner(tmp_path).plan("step2", given)
    for row in plan.rows:
        if row.row.name in sizes:
            finish(row.cells[0], test={"top1": 90.0, "top5": 99.0}, params=sizes[row.row.name])
    comparison = compare(Planner(tmp_path).plan("step2", given))
    entry = comparison.entry("without depthwise branches", "params")
    assert (entry.verdict, entry.p, entry.seeds_needed) == ("better", None, None)
    assert words.fields(entry)[2:7] == ("727.32 k (1)", "-96", "", "", "better")
    assert comparison.entry("without coordinates", "top1").verdict == "not enough seeds"
    assert "better" not in verdicts(comparison)
    claim = next(one for one in comparison.claims if one.claim.text == "depthwise branches cost less")
    assert claim.verdicts == {"params": "refuted"}
    assert claim.details["params"] == "full - without depthwise branches = +96 (a count)"
    assert not any("None" in note for note in words.notes(comparison)), "note: null says nothing"


def test_what_is_left_of_floating_point_sums_is_nothing() -> None:
    assert [words.signed(value) for value in (4.7e-15, -4.7e-15, 0.0, -0.042)] == ["+0.00", "+0.00", "+0.00", "-0.042"]


def test_a_metric_after_an_epoch_is_read_from_the_curves(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("demo", [*QUICK, "seed=0", "att=ca"])
    finish(plan.rows[0].cells[0], test={"top1": 90.0}, best=80.0)
    comparison = compare(Planner(tmp_path).plan("demo", [*QUICK, "seed=0", "att=ca"]))
    assert comparison.entry("ca", "top1 epoch 1").values == {0: 78.0}
    assert comparison.entry("ca", "top1 epoch 2").values == {0: 79.0}
    folder = plan.rows[0].cells[0].cell.path
    assert measured(folder, {}, "last/top1") == 80.0, "the last epoch's evaluation, not the final test"
    assert measured(folder, {}, "last/top5") is None


def test_published_numbers_meet_only_runs_of_the_same_data_and_budget(tmp_path: Path) -> None:
    surrogate = compared(tmp_path, "modules", SEEDS, VALUES).entry("triplet", "top1")
    assert surrogate.published is not None
    assert (surrogate.published.value, surrogate.delta, surrogate.within) == (64.6, None, None)
    faithful = compared(tmp_path, "modules", [], {"triplet": [64.0, 65.5], "ca": [60.0, 60.5]})
    assert faithful.entry("triplet", "top1").delta == pytest.approx(0.15)
    assert faithful.entry("triplet", "top1").within is True
    assert faithful.entry("ca", "top1").within is False
    assert faithful.entry("tripletca", "top1").delta is None
    assert any(failure.startswith("ca top1: 60.25 is more than 1") for failure in faithful.failures)


def test_what_was_published_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the gait table's kind, run as attention cells: outcomes come from states and from chance."""
    import dataclasses

    from exp.tables import plan as module
    from exp.tables.spec import Number

    table = load("modules")
    failed = tuple(Number(row, "top1", None, "failed", "report") for row in ("none", "ca", "tripletca", "triplet"))
    changed = dataclasses.replace(table, published=failed)
    monkeypatch.setattr(module, "load", lambda name: changed)
    plan = fill(tmp_path, "modules", ["seed=0,1,2"], {"ca": [1.0, 1.4, 0.7], "tripletca": [60.0, 61.0, 60.5]})
    for one in plan.rows[0].cells:
        fail(one, "diverged", "the training loss is nan")
    comparison = compare(Planner(tmp_path).plan("modules", ["seed=0,1,2"]))
    outcomes = {row: comparison.entry(row, "top1").outcome for row in ("none", "ca", "tripletca", "triplet")}
    assert outcomes == {
        "none": "failed as published",
        "ca": "failed as published",
        "tripletca": "did not fail",
        "triplet": "",
    }
    assert comparison.failures == ["tripletca top1: did not fail, as was published"]
    elsewhere = fill(
        tmp_path, "modules", [*QUICK, "seed=0,1,2"], {"ca": [1.0, 1.4, 0.7], "tripletca": [60.0, 61.0, 60.5]}
    )
    for one in elsewhere.rows[0].cells:
        fail(one, "diverged", "the training loss is nan")
    comparison = compare(Planner(tmp_path).plan("modules", [*QUICK, "seed=0,1,2"]))
    outcomes = {row: comparison.entry(row, "top1").outcome for row in ("none", "ca", "tripletca")}
    assert outcomes == {"none": "failed as published", "ca": "", "tripletca": ""}, "chance is another on digits"


def test_a_metric_that_no_cell_reports_is_named(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"])
    finish(plan.rows[0].cells[0], test={"accuracy": 90.0})
    comparison = compare(Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"]))
    assert comparison.warnings[0] == "column top1: no cell reports test/top1; they report test/accuracy"
    finish(plan.rows[0].cells[0], test={"top1": math.nan, "accuracy": 1.0})
    comparison = compare(Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"]))
    assert comparison.warnings[0] == "column top1: test/top1 has no value in any cell"


class TestClaims:
    TABLE = load("modules")
    ENDED: ClassVar[dict[str, set[str]]] = {}

    def judged(self, claim: Claim, **values: list[float]) -> str:
        measured = {(row, "top1"): dict(enumerate(numbers)) for row, numbers in values.items()}
        return check(claim, self.TABLE, measured, self.ENDED).verdicts["top1"]

    ORDER = Claim("t", ("top1",), order=(("triplet",), ("ca", "none")))

    def test_supported_where_all_pairs_hold(self) -> None:
        assert self.judged(self.ORDER, triplet=[5, 5.1, 5.2], ca=[3, 3.2, 3.1], none=[1, 1.2, 1.1]) == "supported"

    def test_undecided_where_one_is_open(self) -> None:
        assert self.judged(self.ORDER, triplet=[5, 5.1, 5.2], ca=[5, 5.3, 4.9], none=[1, 1.2, 1.1]) == "undecided"

    def test_refuted_where_one_holds_the_other_way(self) -> None:
        assert self.judged(self.ORDER, triplet=[3, 3.1, 3.2], ca=[5, 5.2, 5.1], none=[1, 1.2, 1.1]) == "refuted"

    def test_undecided_below_three_seeds(self) -> None:
        assert self.judged(self.ORDER, triplet=[3, 3.1], ca=[5, 5.2], none=[1, 1.2]) == "undecided"

    def test_no_pair_is_compared_within_a_group(self) -> None:
        assert self.ORDER.pairs == [("triplet", "ca"), ("triplet", "none")]

    @pytest.mark.parametrize(
        ("numbers", "said"),
        [([0.01, 0.02, 0.03], "supported"), ([0.5, 0.6, 0.7], "refuted"), ([0.01, 0.05, 0.2], "undecided")],
    )
    def test_bounds(self, numbers: list[float], said: str) -> None:
        claim = Claim("t", ("top1",), row="ca", bound=Bound("<", 0.1))
        assert self.judged(claim, ca=numbers) == said

    def test_a_claimed_failure(self) -> None:
        claim = Claim("t", ("top1",), row="ca")
        assert self.judged(claim, ca=[60.0, 61.0, 62.0]) == "refuted"
        assert self.judged(claim, ca=[1.0, 1.2, 0.7]) == "supported"
        assert check(claim, self.TABLE, {}, {"ca": {"failed", "diverged"}}).verdicts["top1"] == "supported"
        assert check(claim, self.TABLE, {}, {"ca": {"done"}}).verdicts["top1"] == "undecided"

    def test_the_sources_own_numbers_may_say_otherwise(self) -> None:
        gait = load("gait")
        claim = next(one for one in gait.claims if "PartLstm" in one.text)
        assert check(claim, gait, {}, {}).published == {"NM@R1": True, "BG@R1": False, "CL@R1": True}

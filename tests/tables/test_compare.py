import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import scipy.stats

from exp.tables import plan as plan_module
from exp.tables import words
from exp.tables.claims import Checked, Settled, check
from exp.tables.compare import Comparison, compare, open_rows, verdicts
from exp.tables.hypotheses import judge, of
from exp.tables.measure import measured
from exp.tables.plan import Planner
from exp.tables.reading import load
from exp.tables.spec import Bound, Claim, Number
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
    weight = 0.5 * 0.8 / 4  # half of the error for rows, four fifths of it for top1, which is primary, over four rows
    for row, p in ps.items():
        entry = comparison.entry(row, "top1")
        assert entry.difference is not None
        same = max(
            scipy.stats.ttest_rel(VALUES[row], [v + d for v in VALUES["triplet"]], alternative=side).pvalue
            for side, d in (("less", 1.0), ("greater", -1.0))
        )
        assert entry.difference.p == pytest.approx(p, rel=1e-9)
        assert entry.p == pytest.approx(min(1.0, min(p, same) / weight), rel=1e-9)
        assert entry.n == 5
    said = {row: comparison.entry(row, "top1").verdict for row in VALUES}
    assert said == {
        "triplet": "reference",
        "none": "worse",
        "ca": "not resolved",
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
    assert words.fields(entry)[2:8] == ("727.32 k (1)", "-96", "", "", "", "better")
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


FAILED = {"ca": [1.0, 1.02, 0.98], "tripletca": [60.0, 61.0, 60.5]}


def as_failed(root: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], **changes: Any) -> Comparison:
    """The table modules with four rows published as failed; one of them diverges, one is at chance, one far above."""
    table = load("modules")
    failed = tuple(Number(row, "top1", None, "failed", "report") for row in ("none", "ca", "tripletca", "triplet"))
    columns = table.columns | {"top1": dataclasses.replace(table.columns["top1"], **changes)}
    changed = dataclasses.replace(table, published=failed, claims=(), columns=columns)
    monkeypatch.setattr(plan_module, "load", lambda name: changed)
    plan = fill(root, "modules", [*overrides, "seed=0,1,2"], FAILED)
    for one in plan.rows[0].cells:
        fail(one, "diverged", "the training loss is nan")
    return compare(Planner(root).plan("modules", [*overrides, "seed=0,1,2"]))


def outcomes(comparison: Comparison) -> dict[str, str]:
    return {row: comparison.entry(row, "top1").outcome for row in ("none", "ca", "tripletca", "triplet")}


def test_what_was_published_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes come from how the runs ended, and from chance."""
    comparison = as_failed(tmp_path, monkeypatch, [])
    assert outcomes(comparison) == {
        "none": "failed as published",
        "ca": "failed as published",
        "tripletca": "did not fail",
        "triplet": "",
    }
    assert comparison.failures == ["tripletca top1: did not fail, as was published"]


def test_chance_is_that_of_the_tables_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = as_failed(tmp_path, monkeypatch, QUICK)
    assert outcomes(comparison) == {"none": "failed as published", "ca": "", "tripletca": "", "triplet": ""}


def test_the_sources_own_criterion_decides_whatever_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = as_failed(tmp_path, monkeypatch, QUICK, fails=Bound("<", 1.01))
    assert outcomes(comparison)["ca"] == "", "one of three runs does not fail by it"
    assert outcomes(comparison)["tripletca"] == "did not fail"
    comparison = as_failed(tmp_path / "other", monkeypatch, QUICK, fails=Bound("<", 5))
    assert outcomes(comparison)["ca"] == "failed as published"


def test_a_metric_that_no_cell_reports_is_named(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"])
    finish(plan.rows[0].cells[0], test={"accuracy": 90.0})
    comparison = compare(Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"]))
    assert comparison.warnings[0] == "column top1: no cell reports test/top1; they report test/accuracy"
    finish(plan.rows[0].cells[0], test={"top1": math.nan, "accuracy": 1.0})
    comparison = compare(Planner(tmp_path).plan("modules", [*QUICK, "seed=0", "att=ca"]))
    assert comparison.warnings[0] == "column top1: test/top1 has no value in any cell"


def at_fifty(root: Path, epochs: dict[str, list[int | None]], seeds: int) -> Comparison:
    """The table fer_reg with the epochs until validation reached 50 %; None where it never did."""
    given = [*QUICK, f"seed={','.join(map(str, range(seeds)))}"]
    plan = Planner(root).plan("fer_reg", given)
    for row in plan.rows:
        for one, value in zip(row.cells, epochs.get(row.row.name, []), strict=False):
            fit = {"gap": 10.0 + one.seed, "epochs_to_50": value, "gradients": None}
            finish(one, test={"top1": 50.0}, fer={"fit": fit})
    return compare(Planner(root).plan("fer_reg", given))


def test_what_was_never_reached_is_later_than_all(tmp_path: Path) -> None:
    """By means over the epochs there are, the row that got there twice would be the better one."""
    epochs: dict[str, list[int | None]] = {
        "deepcnn": [4, 5, 6, 4, 5, 6, 5, 4, 6, 5],
        "no_batch_norm": [3, *[None] * 8, 2],
    }
    comparison = at_fifty(tmp_path, epochs, 10)
    entry = comparison.entry("no_batch_norm", "epochs_to_50")
    assert (entry.n, len(entry.never), entry.difference) == (10, 8, None)
    assert words.fields(entry)[2] == "2.5 (2), 8 never"
    assert entry.verdict == "undecided", "p 0.03 by ranks, among all rows and columns of the table"
    claim = next(one for one in comparison.claims if one.claim.text.startswith("batch norm makes"))
    assert claim.details["epochs_to_50"] == "deepcnn before no_batch_norm in 8 of 10 seeds, by ranks"
    never: dict[str, list[int | None]] = {"deepcnn": [4, 5, 6], "no_batch_norm": [None, None, None]}
    entry = at_fifty(tmp_path / "few", never, 3).entry("no_batch_norm", "epochs_to_50")
    assert (words.fields(entry)[2], entry.verdict) == ("never (3)", "not resolved")


def test_the_same_within_the_tolerance_is_a_verdict(tmp_path: Path) -> None:
    near = {"triplet": [97.0, 97.1, 97.2, 97.1, 97.0], "ca": [97.02, 97.08, 97.21, 97.12, 96.99]}
    comparison = compared(tmp_path, "modules", SEEDS, near)
    entry = comparison.entry("ca", "top1")
    assert (entry.verdict, entry.tolerance) == ("the same within", 1.0)
    assert words.verdict(entry) == "the same within 1"
    assert open_rows(comparison) == ["triplet", "ca"], "the claim that triplet is better than ca is open"
    assert verdicts(comparison)["the same within"] == 1


def test_nothing_checked_where_nothing_has_run(tmp_path: Path) -> None:
    comparison = compare(Planner(tmp_path).plan("modules", QUICK))
    assert comparison.failures == ["table modules: nothing of it has run, so that nothing could be checked"]


class TestClaims:
    TABLE = load("modules")
    ENDED: ClassVar[dict[str, set[str]]] = {}

    def checked(self, claim: Claim, column: str = "top1", **values: list[float]) -> Checked:
        """The claim as the only one of its table."""
        measured = {(row, column): dict(enumerate(numbers)) for row, numbers in values.items()}
        hypothesis = of(claim, self.TABLE.columns[column], self.TABLE)
        assert hypothesis is not None
        judged = judge([hypothesis], measured)
        settled = {hypothesis: Settled(int(judged.codes[0]), float(judged.p[0]), 1)}
        return check(claim, self.TABLE, measured, self.ENDED, settled, False)

    def judged(self, claim: Claim, **values: list[float]) -> str:
        return self.checked(claim, **values).verdicts["top1"]

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
        failed = check(claim, self.TABLE, {}, {("ca", "top1"): {"failed", "diverged"}}, {}, False)
        assert failed.verdicts["top1"] == "supported"
        assert check(claim, self.TABLE, {}, {"ca": {"done"}}, {}, False).verdicts["top1"] == "undecided"

    def test_a_claimed_failure_is_supported_near_chance_alone(self) -> None:
        """Not to be told from chance is no proof: three noisy seeds leave it open."""
        claim = Claim("t", ("top1",), row="ca")
        assert self.judged(claim, ca=[1.0, 9.0, 3.0]) == "undecided"
        assert self.judged(claim, ca=[3.4, 3.5, 3.45]) == "refuted", "clearly better than guessing"

    def test_the_sources_own_numbers_may_say_otherwise(self) -> None:
        gait = load("gait")
        claim = next(one for one in gait.claims if "PartLstm" in one.text)
        assert check(claim, gait, {}, {}, {}, False).published == {"NM@R1": True, "BG@R1": False, "CL@R1": True}

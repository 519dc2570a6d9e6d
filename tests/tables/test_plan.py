import dataclasses
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from exp.options.catalog import ConfigError
from exp.options.compose import Composition
from exp.tables import plan as plan_module
from exp.tables.choices import keep, variants
from exp.tables.labels import Label
from exp.tables.plan import Planner
from exp.tables.reading import load
from tests.tables.cells import QUICK, compared, fail, fill, finish


def test_cells_are_those_an_ordinary_sweep_makes(tmp_path: Path) -> None:
    from exp.options.compose import resolved

    plan = Planner(tmp_path).plan("modules", [*QUICK, "seed=1"])
    keys = [row.cells[0].cell.resolved.key for row in plan.rows]
    blocks = ["none", "triplet", "ca", "tripletca", "tripletlka"]
    assert keys == [resolved([f"att={block}", "seed=1"]).key for block in blocks]
    assert all(one.cell.resolved.config.origin.table == "modules" for one in plan.cells)


def test_states(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    plan = planner.plan("modules", [*QUICK, "seed=0,1,2"])
    assert {one.state for one in plan.cells} == {"missing"}
    assert plan.expected == 15
    first = plan.rows[0].cells
    finish(first[0], test={"top1": 90.0}, data_fingerprint=None)
    finish(first[1], test={"top1": 90.0}, code={"exp.run.train": "0" * 12})
    fail(first[2])
    row = planner.plan("modules", [*QUICK, "seed=0,1,2"]).rows[0]
    assert [one.state for one in row.cells] == ["done", "stale", "failed"]
    assert row.cells[1].changed == ["exp.run.train"]
    assert list(row.results) == [0, 1]


def test_other_data_than_then_is_stale(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    plan = planner.plan("modules", [*QUICK, "seed=0", "att=none"])
    finish(plan.rows[0].cells[0], test={"top1": 90.0}, data_fingerprint="0" * 16)
    again = planner.plan("modules", [*QUICK, "seed=0", "att=none"])
    assert again.rows[0].cells[0].changed == ["data"]


def test_an_override_of_what_rows_vary_keeps_rows_and_says_so(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("modules", [*QUICK, "att=ca,none"])
    assert [row.row.name for row in plan.rows] == ["none", "ca"]
    assert plan.left_out == ["triplet", "tripletca", "tripletlka"]
    assert plan.notes == ["att=ca,none: 2 of 5 rows"]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("recipe=quik", "recipe=quik: no such choice; there are .*did you mean 'quick'"),
        ("trainer.max_epoch=3", "trainer.max_epoch: no such option.*max_epochs"),
        ("trainer.max_epochs=many", "max_epochs=many"),
        ("reduction=4", "reduction=4: nothing in this run takes it"),
    ],
)
def test_an_override_that_cannot_stand_is_an_error(tmp_path: Path, override: str, complaint: str) -> None:
    table = "modules" if "reduction" not in override else "kernel"
    with pytest.raises(ConfigError, match=complaint):
        Planner(tmp_path).plan(table, [override])


def test_a_row_that_needs_the_published_recipe_is_shown_as_missing(tmp_path: Path) -> None:
    fill(
        tmp_path, "activation", [*QUICK, "seed=0"], {row: [1.0] for row in ("none", "sigmoid", "tanh", "relu", "gelu")}
    )
    filled = fill(tmp_path, "activation", [*QUICK, "seed=0"], {row: [2.0] for row in ("leaky_relu", "celu", "elu")})
    assert filled.complete
    plan = Planner(tmp_path).plan("gate", [*QUICK, "seed=0"])
    by_name = {row.row.name: row for row in plan.rows}
    assert "needs recipe=published" in by_name["softmax"].problem
    assert not by_name["tanh"].problem


class TestChoices:
    OVERRIDES = (*QUICK, "seed=0,1")
    SCORES: ClassVar = {
        "none": [90.0, 90.0],
        "sigmoid": [91.0, 89.0],
        "tanh": [1.0, 1.0],
        "relu": [92.0, 95.0],
        "gelu": [93.0, 94.0],
        "leaky_relu": [10.0, 20.0],
        "celu": [93.5, 93.5],
        "elu": [50.0, 99.0],
    }

    def test_waits_for_the_other_table(self, tmp_path: Path) -> None:
        plan = Planner(tmp_path).plan("gate", self.OVERRIDES)
        assert plan.problem == "waits for the results of table activation"
        assert plan.waits

    def test_best_mean_validation_wins_and_a_tie_keeps_the_first_row(self, tmp_path: Path) -> None:
        fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES)
        plan = Planner(tmp_path).plan("gate", self.OVERRIDES)
        assert plan.chosen["activation"].value == "relu"
        config = plan.rows[0].cells[0].cell.resolved.config
        assert config.att.activation == "relu"
        assert config.origin.chosen == "activation=relu from table activation"

    def test_a_choice_once_kept_stands(self, tmp_path: Path) -> None:
        fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES)
        plan = Planner(tmp_path).plan("gate", self.OVERRIDES)
        keep(tmp_path, "gate", plan.given, plan.chosen)
        fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES | {"elu": [99.0, 99.0]})
        again = Planner(tmp_path).plan("gate", self.OVERRIDES)
        assert again.chosen["activation"].value == "relu"
        assert again.chosen["activation"].now == "elu"
        assert "now it would be elu" in " ".join(again.notes)
        other = Planner(tmp_path).plan("gate", [*QUICK, "seed=0,1", "lr=0.05"])
        assert other.waits

    def test_a_failed_row_is_never_the_best(self, tmp_path: Path) -> None:
        plan = fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES | {"relu": []})
        for one in plan.rows[3].cells:
            fail(one, "diverged")
        assert Planner(tmp_path).plan("gate", self.OVERRIDES).chosen["activation"].value == "gelu"

    def test_the_fifth_pool_combination(self, tmp_path: Path) -> None:
        fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES)
        fill(tmp_path, "gate", list(self.OVERRIDES), {"sigmoid": [92, 95], "tanh": [99, 99], "softmax_map": [1, 1]})
        fill(tmp_path, "gate", list(self.OVERRIDES), {"softmax_branch": [2, 2]})
        pools = {
            "avg+max": [80.0, 80.0],
            "avg+max+median": [81.0, 80.0],
            "l1+max": [82.0, 82.0],
            "l2+max": [81.0, 82.0],
        }
        before = Planner(tmp_path).plan("pool", self.OVERRIDES)
        assert before.rows[-1].problem == "waits for the results of table pool"
        assert not before.rows[0].problem
        plan = fill(tmp_path, "pool", list(self.OVERRIDES), pools)
        chosen = {key: one.value for key, one in plan.chosen.items()}
        assert chosen == {"activation": "relu", "gate": "tanh", "t1": "l1", "t2": "max+median"}
        assert plan.rows[-1].cells[0].cell.resolved.config.att.pool == "l1+max+median"

    def test_median_stays_out_where_it_did_not_help(self, tmp_path: Path) -> None:
        fill(tmp_path, "activation", list(self.OVERRIDES), self.SCORES)
        scores = {"sigmoid": [92, 95], "tanh": [1, 1], "softmax_map": [1, 1], "softmax_branch": [2, 2]}
        fill(tmp_path, "gate", list(self.OVERRIDES), scores)
        pools = {"avg+max": [80.0, 80.0], "avg+max+median": [80.0, 80.0], "l1+max": [80.0, 80.0], "l2+max": [1.0, 1.0]}
        fill(tmp_path, "pool", list(self.OVERRIDES), pools)
        plan = Planner(tmp_path).plan("pool", self.OVERRIDES)
        assert plan.rows[-1].cells[0].cell.resolved.config.att.pool == "avg+max"


def test_a_task_that_is_not_installed_is_listed_with_the_reason(tmp_path: Path) -> None:
    from exp.tables import plan as module

    class Missing(Composition):
        def __call__(self, overrides: list[str]) -> dict[str, Any]:
            raise ConfigError("task=gait: no such choice; there are attention")

    planned = module.Planner(tmp_path, compose=Missing(name="elsewhere")).plan("gait")
    assert planned.problem.startswith("task=gait: no such choice")
    assert [row.cells for row in planned.rows] == [[]] * 8


def test_labels(tmp_path: Path) -> None:
    quick = Planner(tmp_path).plan("modules", [*QUICK, "seed=0"]).rows[1].label
    assert not quick.comparable
    assert quick.text.startswith("recipe=quick; surrogate data, digits in place of cifar100; model resnet18")
    same = Planner(tmp_path).plan("modules", ["seed=0"]).rows[1].label
    assert (same.text, same.comparable) == ("", True)
    shorter = Planner(tmp_path).plan("modules", ["seed=0", "trainer.max_epochs=5"]).rows[1].label
    assert (shorter.text, shorter.comparable) == ("5 epochs in place of 50", False)
    faster = Planner(tmp_path).plan("modules", ["seed=0", "trainer=gpu", "trainer.accelerator=cpu"]).rows[1].label
    assert not faster.comparable, "nothing shows by how much bf16 matters"
    assert faster.text == "trainer.precision=bf16-mixed"
    layout = Planner(tmp_path).plan("modules", ["seed=0", "trainer.channels_last=true", "trainer.compile=false"])
    assert (layout.rows[1].label.text, layout.rows[1].label.comparable) == ("", True)
    other = Planner(tmp_path).plan("modules", ["seed=0", "lr=0.5"]).rows[1].label
    assert (other.text, other.comparable) == ("optim.lr=0.5", False)


def label_of(root: Path, table: str, *overrides: str, row: int = 0) -> Label:
    return Planner(root).plan(table, [*overrides, "seed=0"]).rows[row].label


def test_what_may_differ_says_by_how_much_it_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = {"trainer.precision": "shown to matter by 0.1 points at most, 5 seeds"}
    table = dataclasses.replace(load("modules"), may_differ=allowed)
    monkeypatch.setattr(plan_module, "load", lambda name: table)
    label = label_of(tmp_path, "modules", "trainer.precision=bf16-mixed")
    assert label.comparable
    assert label.text == "trainer.precision=bf16-mixed (shown to matter by 0.1 points at most, 5 seeds)"
    assert not label_of(tmp_path, "modules", "trainer.precision=bf16-mixed", "lr=0.5").comparable


def test_a_checkpoint_is_not_the_sources_start(tmp_path: Path) -> None:
    weights = tmp_path / "best.ckpt"
    weights.write_bytes(b"weights")
    label = label_of(tmp_path, "modules", f"ckpt={weights}")
    assert (label.text, label.comparable) == (f"starts from ckpt={weights}", False)


@pytest.mark.parametrize(
    ("table", "overrides", "text"),
    [
        ("lane_criteria", [], "surrogate data, roads in place of culane; the source had features of a trained and"),
        ("gait_order", [], "surrogate data, walkers"),
        ("gait_why", [], "surrogate data, walkers"),
        ("where", [], "surrogate data, where; resnet18 narrowed to width=16"),
        ("gait", QUICK, "recipe=quick; surrogate data, walkers in place of casia_b"),
        ("lane", ["data=culane"], "30 epochs in place of 100; task.nbins=400; model.subsample=True"),
    ],
)
def test_surrogates_and_other_sources_are_told_in_every_table(
    tmp_path: Path, table: str, overrides: list[str], text: str
) -> None:
    label = label_of(tmp_path, table, *overrides)
    assert label.text.startswith(text)
    assert not label.comparable or not load(table).published


def test_the_published_rows_own_model_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a source's row has another backbone than the table's, there is no delta for it alone."""
    table = load("modules")
    published = tuple(
        dataclasses.replace(one, on={"model": "resnet34"} if one.row == "ca" else {}) for one in table.published
    )
    monkeypatch.setattr(plan_module, "load", lambda name: dataclasses.replace(table, published=published))
    assert label_of(tmp_path, "modules", row=2) == Label("model resnet50 in place of resnet34", False, True)
    assert label_of(tmp_path, "modules", row=1).comparable
    backbones = [load("lane").rows[f"LaneLM-{dim}"].overrides["model.backbone"] for dim in (128, 256, 512)]
    assert backbones == ["resnet18", "resnet34", "dla34"], "as in the preprint"


class Never(Composition):
    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        raise AssertionError(overrides)


def test_what_was_composed_is_kept_and_forgotten_when_hydra_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    Planner(tmp_path).plan("modules", QUICK)
    assert Planner(tmp_path, compose=Never()).plan("modules", QUICK).expected == 25
    monkeypatch.setattr("exp.tables.composing.version", lambda _name: "another")
    with pytest.raises(AssertionError):
        Planner(tmp_path, compose=Never()).plan("modules", QUICK)


def test_of_what_was_composed_the_states_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("exp.tables.keeping.KEPT", 2)
    for state in ("one", "two", "one", "three"):
        monkeypatch.setattr("exp.tables.composing.version", lambda _name, state=state: state)
        Planner(tmp_path).plan("demo", [*QUICK, "att=ca"])
        for age, path in enumerate(sorted((tmp_path / "cache").rglob("*.json"), key=lambda path: path.stat().st_mtime)):
            os.utime(path, (age, age))
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2
    for state in ("one", "three"):
        monkeypatch.setattr("exp.tables.composing.version", lambda _name, state=state: state)
        Planner(tmp_path, compose=Never()).plan("demo", [*QUICK, "att=ca"])


def test_where_the_cache_cannot_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "file"))
    assert Planner(tmp_path).plan("modules", QUICK).expected == 25


def test_further_folders_have_compositions_of_their_own_and_edits_are_seen(tmp_path: Path) -> None:
    plans = []
    for folder, pool in (("a", "max"), ("b", "avg"), ("a", "l2")):
        own = tmp_path / folder / "att" / "wide.yaml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(f"defaults: [/schema/att/triplet@_here_]\npool: {pool}\n")
        planner = Planner(tmp_path, compose=Composition(folders=(str(tmp_path / folder),)))
        plan = planner.plan("kernel", ["recipe=quick", "seed=0", "att=wide"])
        plans.append({one.resolved.config.att.pool for one in plan.cells})
    assert plans == [{"max"}, {"avg"}, {"l2"}]


def test_variants_are_remembered_last_one_last(tmp_path: Path) -> None:
    for overrides in (["recipe=quick"], ["recipe=sound"], ["recipe=quick"]):
        plan = Planner(tmp_path).plan("modules", overrides)
        keep(tmp_path, "modules", plan.given, plan.chosen)
    assert variants(tmp_path, "modules") == [["recipe=sound"], ["recipe=quick"]]


def test_planning_needs_no_torch(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from exp.tables.plan import Planner;"
        f"Planner(Path({str(tmp_path)!r})).plan('modules', ['recipe=quick']);"
        "assert not {'torch', 'scipy', 'wandb', 'matplotlib', 'lightning'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compared_is_of_the_seeds_that_are_there(tmp_path: Path) -> None:
    entry = compared(tmp_path, "modules", [*QUICK, "seed=0,1,2"], {"none": [1.0, 2.0]}).entry("none", "top1")
    assert entry.values == {0: 1.0, 1: 2.0}

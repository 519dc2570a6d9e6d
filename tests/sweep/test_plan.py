import json
import sys
from pathlib import Path
from typing import Any

import pytest

from exp.cells.machine import threads_allowed
from exp.cells.terminal import count, duration
from exp.data.source import DataError
from exp.options.catalog import GROUPS, ConfigError
from exp.options.compose import STANDARD, Composition, Overlay, composed, named_by, resolved
from exp.sweep import front
from exp.sweep.plan import CellPlanner, explicit_cells, plan
from exp.sweep.pool import Slots
from exp.sweep.screen import Screen
from exp.sweep.summary import label, mean_sd, varied_choices


@pytest.fixture
def here(tmp_path: Path) -> str:
    return f"cells.dir={tmp_path}"


def test_duplicates_collapse(here: str) -> None:
    grid = [["att=triplet", here], ["att=triplet", "kernel_size=7", here], ["att=ca", here], ["att=ca", here]]
    assert [one.resolved.config.att.name for one in plan(grid, composed).cells] == ["triplet", "ca"]


def test_an_invalid_combination_stops_the_plan_or_is_listed(here: str) -> None:
    grid = [["att=triplet", "kernel_size=3", here], ["att=none", "kernel_size=3", here]]
    with pytest.raises(ConfigError, match="att=none"):
        plan(grid, composed)
    skipped = plan(grid, composed, invalid="skip")
    assert len(skipped.cells) == 1
    assert "nothing in this run takes it" in skipped.skipped[0][1]
    with pytest.raises(ConfigError, match="no cell of this sweep is valid"):
        plan(grid[1:], composed, invalid="skip")


def test_missing_data_stop_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXP_DATA", raising=False)
    with pytest.raises(DataError, match="cifar-100-python"):
        plan([["data=cifar100", f"data.root={tmp_path}"]], composed)


def test_a_sweep_over_two_folders_has_a_cell_for_each_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    for root, one, other in (("a", b"1", b"2"), ("b", b"2", b"1"), ("a-again", b"1", b"2")):
        for part in ("train", "val"):
            for name, content in (("cat", one), ("dog", other)):
                for number in range(10):
                    path = tmp_path / root / part / name / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
    grid = [["data=imagefolder", f"data.root={tmp_path / root}", here] for root in ("a", "b", "a-again")]
    cells = plan(grid, composed).cells
    assert [Path(one.resolved.config.data.plain()["root"]).name for one in cells] == ["a", "b"]
    assert len({one.cell.path for one in cells}) == 2
    assert cells[0].resolved.key == plan(grid[:1], composed).cells[0].resolved.key


def test_the_overlay_equals_composing() -> None:
    overlay = Overlay(composed)
    for overrides in (
        [],
        ["att=triplet", "kernel_size=3", "seed=4"],
        ["att=triplet", "att.kernel_size=3", "trainer.max_epochs=5", "optim.lr=1e-3", "pool='avg+max'"],
        ["task=gait", "model=convlstm", "att=ca"],
        ["att=custom", "att.options={reduction: 8}"],
        ["recipe=sound", "data.mean=[0.1,0.2,0.3]", "data=cifar100", "data.root=null", "bias=true"],
    ):
        assert overlay(overrides) == composed(overrides)


@pytest.mark.slow
@pytest.mark.parametrize("start", [["task=attention"], ["task=gait"], ["task=fer", "recipe=published"], ["task=lane"]])
def test_the_overlay_equals_composing_for_every_choice(start: list[str]) -> None:
    overlay = Overlay(composed)
    for group in ("model", "att", "data"):
        for name in GROUPS[group]:
            words = [*start, f"{group}={name}", "seed=3"]
            assert json.dumps(overlay(words)) == json.dumps(composed(words)), words


def counting() -> tuple[Overlay, list[list[str]]]:
    """An overlay, and what it has Hydra compose."""
    calls: list[list[str]] = []

    def counted(overrides: list[str]) -> dict[str, Any]:
        calls.append(overrides)
        return composed(overrides)

    return Overlay(counted), calls


def test_choices_without_yaml_go_through_hydra_once() -> None:
    overlay, calls = counting()
    for model in ("resnet18", "resnet50"):
        for att in ("ca", "se", "triplet"):
            assert overlay([f"model={model}", f"att={att}", "data=faces"])["att"]["name"] == att
    assert calls == [[]]


OVER = {
    "an option that YAML sets": "att: {kernel_size: 5}\n",
    "an interpolated choice": "optim: {lr: '${oc.select:att.kernel_size,0.5}'}\n",
}


@pytest.mark.parametrize("what", OVER)
def test_what_yaml_says_of_a_choice_is_composed(what: str, tmp_path: Path) -> None:
    root = f"defaults: [config, {{override att: triplet}}, _self_]\n{OVER[what]}"
    (tmp_path / "mine.yaml").write_text(root)
    compose = Composition("mine", (str(tmp_path),))
    for words in (["att=tripletca"], ["att=triplet", "data=faces"], ["model=resnet50"]):
        assert Overlay(compose)(words) == compose(words)


def test_the_overlay_composes_once_for_a_combination_of_groups() -> None:
    overlay, calls = counting()
    for seed in range(20):
        overlay(["att=triplet", f"seed={seed}", f"kernel_size={2 * seed + 1}"])
    assert len(calls) == 1
    with pytest.raises(ConfigError, match="did you mean 'kernel_size'"):
        overlay(["att=triplet", "kernel_sise=3"])


def test_explicit_cells(tmp_path: Path) -> None:
    file = tmp_path / "cells.yaml"
    file.write_text("- {att: triplet, kernel_size: 3}\n- {att: ca, optim.lr: 0.1, bias: true}\n")
    assert explicit_cells(str(file)) == [["att=triplet", "kernel_size=3"], ["att=ca", "optim.lr=0.1", "bias=true"]]
    with pytest.raises(ConfigError, match=r"did you mean '.*cells\.yaml'"):
        explicit_cells(str(tmp_path / "cell.yaml"))
    file.write_text("att: [a, b]\n")
    with pytest.raises(ConfigError, match="expected a list of mappings"):
        explicit_cells(str(file))
    file.write_text("- [\n")
    with pytest.raises(ConfigError, match="cannot be read") as error:
        explicit_cells(str(file))
    assert "\n" not in str(error.value)


def test_slots_share_devices_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    slots = Slots.of_machine(4, {"auto"})
    assert slots.take(2) == (max(1, slots.threads), {"CUDA_VISIBLE_DEVICES": "0,1"}, ["0", "1"])
    assert slots.take(1) is not None
    last = slots.take(1)
    assert last is not None
    assert slots.take(1) is None
    slots.give(1, last[2])
    assert slots.take(1) == last
    assert Slots.of_machine(3, {"cpu"}).devices is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Slots.of_machine(0, {"auto"}).devices is None


def test_rows_are_named_by_what_varies(here: str) -> None:
    grid = [[f"att={att}", f"seed={seed}", here] for att in ("none", "triplet", "ca") for seed in (0, 1)]
    configs = [one.resolved.config.plain() for one in plan(grid, composed).cells]
    varied = varied_choices(configs)
    assert varied == [("att", "att")]
    assert [label(config, varied) for config in configs[::2]] == [("none",), ("triplet",), ("ca",)]
    grid = [["att=triplet", f"kernel_size={k}", f"gate={g}", here] for k in (3, 5) for g in ("tanh", "sigmoid")]
    configs = [one.resolved.config.plain() for one in plan(grid, composed).cells]
    assert set(varied_choices(configs)) == {("att", "kernel_size"), ("att", "gate")}


def test_cells_of_one_choice_that_differ_are_rows_of_their_own_beside_others(here: str) -> None:
    """What one choice alone has varies where it has two values of it, and only then."""
    cells = [["att=se"], ["att=triplet", "kernel_size=3"], ["att=triplet", "kernel_size=7"], ["att=ca"]]
    configs = [one.resolved.config.plain() for one in plan([[*cell, here] for cell in cells], composed).cells]
    varied = varied_choices(configs)
    assert varied == [("att", "att"), ("att", "kernel_size")]
    names = [label(config, varied) for config in configs]
    assert names == [("se", "-"), ("triplet", "3"), ("triplet", "7"), ("ca", "-")]
    alone = [one for one, name in zip(configs, names, strict=True) if name[1] != "7"]
    assert varied_choices(alone) == [("att", "att")]


def test_numbers_for_people() -> None:
    assert mean_sd([97.223]) == "97.22"
    assert mean_sd([1.0, 3.0, None]) == "2.000 (2)", "two values have no spread that would mean something"
    assert mean_sd([1.0, 2.0, 3.0]) == "2.000 ± 1.000 (3)"
    assert mean_sd([None]) == "-"
    assert (count(11_220_132), count(300), count(None)) == ("11.22 M", "300", "-")
    assert (duration(3), duration(64), duration(200), duration(7500)) == ("3.0 s", "64 s", "3 min 20 s", "2 h 5 min")


@pytest.mark.parametrize(
    "words", [[], ["att=triplet", "kernel_size=5"], ["task=gait", "model=convlstm"], ["task=fer", "recipe=sound"]]
)
def test_cells_that_differ_in_the_seed_are_resolved_once_and_alike(words: list[str], tmp_path: Path) -> None:
    planner = CellPlanner(STANDARD, tmp_path)
    for seed in (0, 1, 12, 999_999_999):
        overrides = [*words, f"seed={seed}"]
        once, alone = planner.resolved(overrides), resolved(overrides)
        assert once.plain() == alone.plain()
        assert once == alone


def test_a_seed_that_yaml_names_is_composed_each_time(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "mine.yaml"
    own.parent.mkdir()
    own.write_text("defaults: [config, _self_]\ntrainer: {max_epochs: '${seed}'}\n")
    planner = CellPlanner(Composition("mine", (str(own.parent),)), tmp_path)
    assert [planner.resolved([f"seed={seed}"]).config.trainer.max_epochs for seed in (2, 3)] == [2, 3]
    plain = CellPlanner(STANDARD, tmp_path)
    words = ["trainer.max_epochs=${seed}"]
    assert [plain.resolved([*words, f"seed={seed}"]).config.trainer.max_epochs for seed in (2, 3)] == [2, 3]
    for wrong in ("-1", "1.5", "4294967296", "x"):
        with pytest.raises(ConfigError, match="seed"):
            plain.resolved([f"seed={wrong}"])


def test_an_option_that_an_interpolation_names_is_composed(tmp_path: Path) -> None:
    own = tmp_path / "conf" / "mine.yaml"
    own.parent.mkdir()
    own.write_text("defaults: [config, _self_]\noptim: {lr: '${data.flip}'}\ndata: {flip: 0.5}\n")
    overlay = Overlay(Composition("mine", (str(own.parent),)))
    assert [overlay([f"data.flip={flip}"])["optim"]["lr"] for flip in (0.1, 0.2)] == [0.1, 0.2]
    overlay = Overlay(composed)
    words = ["trainer.log_every=${trainer.max_epochs}"]
    assert [overlay([*words, f"trainer.max_epochs={n}"])["trainer"]["log_every"] for n in (3, 4)] == [3, 4]


def test_choices_in_lists_of_defaults_name_no_values(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("defaults:\n  - config\n  - att/${att}\n\n# more\noptim: {lr: '${data.flip}'}\n")
    overlay = Overlay(Composition("config", (str(tmp_path),)))
    assert not {"task", "recipe", "att"} & overlay.interpolated
    assert "data.flip" in overlay.interpolated


def test_what_an_interpolation_names() -> None:
    names = {"data.flip", "optim", "..root"}
    assert [
        named_by(names, place) for place in ("data.flip", "data", "optim.lr", "data.root", "flip", "data.fl", "opt")
    ] == [True, True, True, True, False, False, False]


def test_the_two_cells_to_compare_share_a_seed_and_differ_otherwise(tmp_path: Path) -> None:
    words = [[f"att={att}", f"seed={seed}", f"cells.dir={tmp_path}"] for att in ("none", "se") for seed in (0, 1)]
    two = Screen().pair(plan(words, composed))
    assert [(one.seed, one.resolved.config.att.name) for one in two] == [(0, "none"), (0, "se")]


def test_threads_are_not_more_than_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exp.cells.machine", "exp.sweep.pool"):
        monkeypatch.setattr(sys.modules[name], "cpus", lambda: 8)
    for said, allowed in ((None, 8), ("2", 2), ("16", 8), ("4,1", 4), ("0", 8), ("x", 8)):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if said is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert threads_allowed() == allowed
        assert Slots.of_machine(2, {"cpu"}).threads == min(4, allowed)


def test_few_cells_share_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exp.cells.machine", "exp.sweep.pool"):
        monkeypatch.setattr(sys.modules[name], "cpus", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slots = {wanted: Slots.of_machine(0, {"cpu"}, wanted) for wanted in (1, 3, 100, None)}
    assert {wanted: (one.free, one.threads) for wanted, one in slots.items()} == {
        1: (1, 8), 3: (3, 2), 100: (8, 1), None: (8, 1),
    }  # fmt: skip
    sweep = plan([["att=none"]], composed)
    assert front._slots(sweep).threads == 8, "as exp gives the cell that runs alone"
    ranks = plan([["att=none", "trainer.devices=2", "trainer.accelerator=cpu"]], composed)
    assert (front._slots(ranks).free, front._slots(ranks).threads) == (2, 4)

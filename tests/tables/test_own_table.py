"""A table of the user's own, with a block of the user's own: nothing of exp is edited."""

import re
from pathlib import Path
from typing import Any

import pytest

from exp.__main__ import run
from exp.options.errors import ConfigError
from exp.tables.choices import keep
from exp.tables.plan import Planner
from exp.tables.reading import canonical, load, names, own_names
from tests.conftest import exp
from tests.tables.cells import finish

TABLE = """
title: My block against none
base: {task: attention, recipe: quick}
rows:
  none: {att: none}
  mine: {att: custom, att.target: "own:Block"}
reference: none
seeds: [0]
columns:
  top1: {metric: test/top1}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(TABLE)
    (tmp_path / "own.py").write_text("class Block: pass\n")
    return tmp_path


def test_an_edited_table_is_read_again_and_one_of_another_folder_is_another(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load("mine")
    assert load("mine") is before
    (here / "mine.yaml").write_text(TABLE.replace("My block", "Her block"))
    assert load("mine").title == "Her block against none"
    (here / "other").mkdir()
    (here / "other" / "mine.yaml").write_text(TABLE.replace("My block", "His block"))
    monkeypatch.chdir(here / "other")
    assert load("mine").title == "His block against none"


def test_a_table_in_the_working_directory(here: Path) -> None:
    assert load("mine").title == "My block against none"
    assert own_names() == ["mine"]
    assert "mine" not in names()
    plan = Planner(here / "multirun").plan("mine", [])
    assert [len(row.cells) for row in plan.rows] == [1, 1]
    assert not plan.problem
    with pytest.raises(ConfigError, match="no such table"):
        load("other_table")


def test_what_a_user_may_write(here: Path) -> None:
    (here / "studies").mkdir()
    (here / "studies" / "deep.yaml").write_text(TABLE)
    words = [
        "mine",
        "mine.yaml",
        "./mine.yaml",
        str(here / "mine.yaml"),
        "studies/deep",
        "studies/deep.yaml",
        "modules",
    ]
    assert [canonical(word) for word in words] == ["mine"] * 4 + ["studies/deep"] * 2 + ["modules"]
    assert load("studies/deep").own
    assert load("studies/deep").slug == "studies-deep"
    with pytest.raises(ConfigError, match=r"mne.yaml: no such file of a table; did you mean 'mine'\?"):
        canonical("mne.yaml")
    with pytest.raises(ConfigError, match=r"no such table.*did you mean 'mine'"):
        canonical("mien")


def test_a_name_that_two_tables_have_is_never_guessed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "gate.yaml").write_text(TABLE)
    assert run(["table", "gate"]) == 2
    assert "gate: two tables have this name, gate.yaml here and one that ships" in capsys.readouterr().err
    assert canonical("./gate.yaml") == canonical("./gate") == "./gate"
    assert run(["table", "./gate.yaml"]) == 0
    assert "My block against none" in capsys.readouterr().out
    assert load("gate").title.startswith("Gate of triplet attention"), "what other tables take choices from"


@pytest.mark.slow
def test_own_tables_are_listed_first_and_a_wrong_one_with_its_mistake(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.yaml").write_text(TABLE.replace("seeds: [0]", "seeds: 3"))
    (here / "other.yaml").write_text("a: 1\n")
    assert run(["table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"bad +wrong +bad.yaml:8: seeds: expected a list", lines[1])
    assert re.match(r"mine +0/2 +My block against none", lines[2])
    assert not any(line.startswith("other") for line in lines)


@pytest.mark.slow
def test_the_report_has_own_tables(here: Path) -> None:
    root = here / "multirun"
    plan = Planner(root).plan("mine")
    for one, value in zip(plan.cells, (90.0, 91.0), strict=True):
        finish(one, test={"top1": value, "top5": 99.0, "loss": 0.1})
    keep(root, "mine", plan.given, plan.chosen)
    assert run(["report", "mine"]) == 0
    text = (root / "report.html").read_text()
    assert '<section id="mine"' in text
    assert "My block against none" in text
    assert "91.00" in text
    assert "reproduced" not in text[text.index('<section id="mine"') :], "nothing of it was published"
    (root / "report.html").unlink()
    assert run(["report"]) == 0
    assert '<section id="mine"' in (root / "report.html").read_text()


MOONS = """
title: Moons
base: {task: ./moons.py, trainer.max_epochs: 1}
rows:
  relu: {act: relu}
  tanh: {act: tanh}
columns:
  top1: {metric: test/top1}
seeds: [0]
"""


def test_a_table_of_a_file_that_is_a_task(tmp_path: Path) -> None:
    """Shown, run and listed from nothing, from what is kept, and after the file was changed."""
    moons = (Path(__file__).parents[2] / "examples" / "moons.py").read_text()
    (tmp_path / "moons.py").write_text(moons)
    (tmp_path / "mine.yaml").write_text(MOONS)
    here: dict[str, Any] = {"cwd": tmp_path, "EXP_CACHE": str(tmp_path / "cache")}
    for words in (["mine"], ["mine"], ["mine", "--format", "md"], ["mine", "--run", "--dry"]):
        shown = exp("table", *words, **here)
        assert shown.returncode == 0, (words, shown.stderr)
    ran = exp("table", "mine", "--run", **here)
    assert ran.returncode == 0, ran.stderr
    assert "2 cells run" in ran.stdout
    assert "2 cells: 2 done" in exp("table", "mine", **here).stdout
    assert exp("--multirun", "table=mine", cwd=tmp_path, EXP_CACHE=str(tmp_path / "another")).returncode == 0
    (tmp_path / "moons.py").write_text(moons.replace('"tanh"]', '"elu"]').replace('"tanh": nn.Tanh', '"elu": nn.ELU'))
    changed = exp("table", "mine", **here)
    assert "mine.yaml:6: row tanh: act=tanh: not one of relu, gelu, elu" in changed.stdout + changed.stderr


def test_cells_listed_in_a_file_of_a_file_that_is_a_task(tmp_path: Path) -> None:
    (tmp_path / "moons.py").write_text((Path(__file__).parents[2] / "examples" / "moons.py").read_text())
    (tmp_path / "cells.yaml").write_text("- {task: ./moons.py, act: relu}\n- {task: ./moons.py, act: gelu}\n")
    ran = exp("--multirun", "sweep.cells=cells.yaml", "trainer.max_epochs=1", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "2 cells run" in ran.stdout

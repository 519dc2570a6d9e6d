import json
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.tables.reading import load
from tests.tables.cells import QUICK, compared
from tests.tables.test_compare import VALUES

WORDS = [*QUICK, "seed=range(0,5)"]


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a table of five seeds."""
    monkeypatch.chdir(tmp_path)
    compared(tmp_path / "multirun", "modules", [*QUICK, "seed=0,1,2,3,4"], VALUES)
    assert run(["export", "modules", *WORDS, "--out", "results/modules"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Next: exp table modules cells.dir=results/modules/cells recipe=quick 'seed=range(0,5)'"
    )
    return tmp_path / "results" / "modules"


def test_what_is_exported_is_read_again_as_the_same_table(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cells.dir=results/modules/cells", *WORDS]
    assert run(["table", "modules", "--format", "json", *words]) == 0
    again, kept = json.loads(capsys.readouterr().out), json.loads((exported / "table.json").read_text())
    assert again["rows"] == kept["rows"]
    assert "97.90 ± 0.16 (5)" in (exported / "table.md").read_text()


def test_its_command_can_be_pasted_and_its_figures_are_pictures(exported: Path) -> None:
    command = (exported / "command.txt").read_text()
    assert shlex.split(command) == ["exp", "table", "modules", "--run", *WORDS]
    assert "'seed=range(0,5)'" in command, "a shell would read the brackets"
    figures = sorted(exported.glob("*.svg"))
    assert "top1-difference.svg" in {figure.name for figure in figures}
    for figure in figures:
        assert ET.parse(figure).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_nothing_run_is_nothing_to_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export", "modules", "--out", "results"]) == 2
    assert "table modules: nothing of it has run; exp table modules --run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_choices_made_in_another_table_are_exported_with_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*QUICK, "seed=0,1"]
    for table in ("activation", "gate"):
        compared(
            tmp_path / "multirun", table, words, {name: [90.0, 91.0 + n] for n, name in enumerate(load(table).rows)}
        )
    assert run(["export", "gate", *words, "--out", "out"]) == 0
    (tmp_path / "multirun").rename(tmp_path / "elsewhere")  # the table of activations is not at hand
    capsys.readouterr()
    assert run(["table", "gate", "--format", "json", "cells.dir=out/cells", *words]) == 0
    again, kept = json.loads(capsys.readouterr().out), json.loads((tmp_path / "out" / "table.json").read_text())
    assert again["rows"] == kept["rows"]


def test_its_command_names_no_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*QUICK, "data=cifar100", "seed=0,1"]
    here = f"data.root={tmp_path}/data"
    compared(tmp_path / "multirun", "modules", [*words, here], {name: [50.0, 51.0] for name in load("modules").rows})
    assert run(["export", "modules", *words, here, "--out", "out"]) == 0
    assert shlex.split((tmp_path / "out" / "command.txt").read_text())[-1] == "data.root=DATA"
    told = [path for path in (tmp_path / "out").rglob("*.*") if path.is_file() and str(tmp_path) in path.read_text()]
    assert told == []

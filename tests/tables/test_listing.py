import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.options import plugins
from exp.options.compose import Composition
from exp.tables.choices import keep
from exp.tables.keeping import Kept
from exp.tables.plan import Planner
from exp.tables.reading import own_names
from tests.tables.cells import QUICK, fail, fill, finish
from tests.tables.test_compare import VALUES

SEEDS = [*QUICK, "seed=0,1,2,3,4"]
OWN = """
title: {title}
base: {{task: attention, recipe: quick, data: digits, width: 4}}
rows: {{a: {{att: none}}, b: {{att: {att}}}}}
columns: {{top1: {{metric: test/top1}}}}
seeds: [0, 1]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    # Planning all that ship takes seconds.
    monkeypatch.setattr("exp.tables.survey.known_tables", lambda _root: [*own_names(), "modules", "gate"])
    return tmp_path


def own(title: str = "Mine", att: str = "se") -> None:
    Path("mine.yaml").write_text(OWN.format(title=title, att=att))


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """The list by names of tables, lines of further ways joined to it; shown twice, it is the same."""
    shown = []
    for _ in range(2):
        assert run(["table", *words]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    found: dict[str, str] = {}
    name = ""
    for line in shown[0].partition("\n\n")[0].splitlines()[1:]:
        name = line.split()[0] if line[0] != " " else name
        found[name] = found.get(name, "") + line
    return found


def _wide(here: Path, reduction: str) -> None:
    path = here / "conf" / "att" / "wide.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"defaults: [/schema/att/se@_here_]\nreduction: {reduction}\n")


def kept(here: Path) -> list[Path]:
    return list((here / "cache" / "listed").glob("*.json"))


def afresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, str]:
    """The list without anything that was kept."""
    with monkeypatch.context() as patch:
        patch.setenv("EXP_CACHE", "/dev/null")
        return lines(capsys, *words)


def test_again_it_needs_neither_hydra_nor_numpy_nor_torch(here: Path) -> None:
    own()
    code = (
        "import sys; from exp.__main__ import run; run(['table']);"
        "assert len(sys.argv) > 1 or not {'hydra', 'omegaconf', 'yaml', 'numpy', 'torch', 'exp.options.catalog'} & set(sys.modules)"
    )
    first = subprocess.run([sys.executable, "-c", code, "first"], capture_output=True, text=True, check=True)
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


@pytest.mark.slow
def test_cells_that_end_meanwhile_are_counted(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own()
    assert "0/4" in lines(capsys)["mine"]
    cells = Planner(here / "multirun").plan("mine").cells
    finish(cells[0], test={"top1": 50.0})
    assert "1/4 " in lines(capsys)["mine"]
    finish(cells[2], test={"top1": 50.0})
    fail(cells[3])
    assert "2/4, 1 failed" in lines(capsys)["mine"]
    assert lines(capsys) == afresh(capsys, monkeypatch)
    assert len(kept(here)) == 1, "of the cells nothing is kept"
    (cells[0].cell.path / "result.json").unlink()
    assert "1/4, 1 failed" in lines(capsys)["mine"]
    assert "0/4" in lines(capsys, "cells.dir=elsewhere")["mine"]


def test_what_decides_which_cells_there_are_is_seen(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own()
    for cell in Planner(here / "multirun").plan("mine").cells:
        finish(cell, test={"top1": 50.0})
    assert "4/4" in lines(capsys)["mine"]
    own("Mine, another block", att="ca")
    assert "2/4" in lines(capsys)["mine"]
    assert "Mine, another block" in lines(capsys)["mine"]
    own(att="wide")
    _wide(here, "4")
    assert "2/4" in lines(capsys, "--config-dir", "conf")["mine"]
    _wide(here, "16")
    assert "4/4" in lines(capsys, "--config-dir", "conf")["mine"]
    Path("another.yaml").write_text(OWN.format(title="Another", att="eca"))
    assert "2/4" in lines(capsys)["another"]
    Path("another.yaml").unlink()
    assert "another" not in lines(capsys)
    own()
    assert "0/4" in lines(capsys, "width=8")["mine"]
    code = here / "plugged" / "options.py"
    code.parent.mkdir()
    code.write_text("")
    monkeypatch.setenv("EXP_PLUGINS", str(code.parent))
    for _ in range(2):
        before = len(kept(here))
        plugins.active.cache_clear()
        lines(capsys)
        assert len(kept(here)) == before + 1
        code.write_text(f"{code.read_text()}#\n")
    monkeypatch.delenv("EXP_PLUGINS")
    plugins.active.cache_clear()


@pytest.mark.slow
def test_ways_in_which_tables_were_run_are_seen(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(capsys)
    plan = fill(here / "multirun", "modules", SEEDS, VALUES)
    assert "21/25" not in lines(capsys)["modules"]
    keep(here / "multirun", "modules", plan.given, plan.chosen)
    assert "21/25" in lines(capsys)["modules"]
    assert lines(capsys) == afresh(capsys, monkeypatch)


def test_a_choice_that_results_decide_is_made_anew(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "seed=0", "width=4"]
    assert "waits" in lines(capsys, *words)["gate"]
    for cell in Planner(here / "multirun").plan("activation", words).cells:
        finish(cell, test={"top1": 50.0})
    assert "waits" not in lines(capsys, *words)["gate"]


def test_a_wrong_table_is_read_each_time(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(att="nothing")
    assert "wrong" in lines(capsys)["mine"]
    own()
    assert "0/4" in lines(capsys)["mine"]


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"modules": 1}', '{"modules": {"lines": [{}]}}'])
def test_a_damaged_file_is_as_none(here: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    first = lines(capsys)
    (path,) = kept(here)
    path.write_text(content)
    assert lines(capsys) == first
    assert json.loads(path.read_text())


def test_where_the_cache_cannot_be_written_nothing_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lines(capsys)
    (here / "file").touch()
    monkeypatch.setenv("EXP_CACHE", str(here / "file"))
    assert lines(capsys) == first


def test_two_processes_may_keep_at_once(here: Path) -> None:
    code = "from exp.tables.keeping import Kept; [Kept('listed', 'one').write({'n': [n] * 5000}) for n in range(99)]"
    two = [
        subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"EXP_CACHE": str(here / "cache")})
        for _ in range(2)
    ]
    reading = Kept("listed", "one")
    while any(one.poll() is None for one in two):
        assert len(reading.read().get("n", [0] * 5000)) == 5000
    assert [one.wait() for one in two] == [0, 0]
    assert not [path for path in (here / "cache" / "listed").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_what_the_environment_decides_is_not_kept(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exp.tables.survey.known_tables", lambda _root: own_names())
    own(att="wide")
    _wide(here, "${oc.decode:${oc.env:SQUEEZED}}")
    done = []
    for squeezed in ("4", "8"):
        monkeypatch.setenv("SQUEEZED", squeezed)
        compose = Composition(folders=(str(here / "conf"),))
        for cell in Planner(here / squeezed, compose=compose).plan("mine").cells:
            finish(cell, test={"top1": 50.0})
        done += [lines(capsys, "--config-dir", "conf", f"cells.dir={root}")["mine"].split()[1] for root in ("4", "8")]
    assert done == ["4/4", "0/4", "2/4", "4/4"]
    assert not list((here / "cache").rglob("*.json"))

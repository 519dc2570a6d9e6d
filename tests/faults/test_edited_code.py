"""The code edited while a sweep runs: what runs is what was loaded, and a result never claims other code than made it."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from exp.cells.provenance import together
from tests.conftest import ENVIRONMENT, results
from tests.faults.sweeps import CELLS, Faults, Sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code, which comes before the one that is tested."""
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "src"


def environment(checkout: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(checkout), ENVIRONMENT.get("PYTHONPATH")]))}


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\nEDITED = True\n")


@pytest.mark.slow
def test_a_checkout_that_is_edited_in_mid_sweep(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = tmp_path / "cells.yaml"
    cells.write_text("- {att: none}\n- {att: eca}\n- {att: se, trainer.devices: 2}\n")
    words = [*CELLS, "trainer.max_epochs=3", "sweep.jobs=1", f"sweep.cells={cells}"]
    loaded, later = checkout / "exp/tasks/base.py", checkout / "exp/blocks/eca.py"
    before = loaded.read_text()
    sweep = Sweep(tmp_path, *words, environment=environment(checkout))
    sweep.until(lambda: list(tmp_path.glob("multirun/*/*/metrics.jsonl")))
    edit(loaded)
    edit(later)
    code, text = sweep.end()
    assert code == 1
    assert "exp.tasks.base: edited since this process loaded it, and further ranks would run the new code" in text
    runs = {run["config"]["att"]["name"]: run["code"] for run in results(tmp_path / "multirun")}
    assert runs.keys() == {"none", "eca"}
    assert runs["none"]["exp.tasks.base"] == runs["eca"]["exp.tasks.base"], "both ran what the server had loaded"
    code, text = Sweep(tmp_path, *words, environment=environment(checkout)).end()
    assert code == 0, text
    assert "2 stale: changed since they ran: exp.tasks.base; sweep.force=stale runs them anew" in text
    loaded.write_text(before)
    text = Sweep(tmp_path, *words, environment=environment(checkout)).end()[1]
    assert "1 stale: changed since they ran: exp.tasks.base" in text, "the third ran the code of the second start"
    Faults("cells whose code was edited while they ran", tried=3).show(capsys)


@pytest.mark.slow
def test_a_cell_that_was_begun_under_other_code_is_stale(checkout: Path, tmp_path: Path) -> None:
    words = [*CELLS, "trainer.max_epochs=25", "att=none", "seed=0"]
    sweep = Sweep(tmp_path, *words, environment=environment(checkout))
    sweep.until(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")))
    os.kill(sweep.pid, signal.SIGTERM)
    assert sweep.end()[0] == 130
    edit(checkout / "exp/tasks/base.py")
    for said in ("1 cell run", "0 cells run"):
        code, text = Sweep(tmp_path, *words, environment=environment(checkout)).end()
        assert code == 0
        assert said in text
    assert "1 stale: changed since they ran: exp.tasks.base" in text
    (run,) = results(tmp_path / "multirun")
    assert "+" in run["code"]["exp.tasks.base"]


def test_code_of_several_attempts() -> None:
    assert together({}, {"a": "1"}) == {"a": "1"}
    assert together({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == {"a": "1", "b": "2", "c": "3"}
    assert together({"a": "1"}, {"a": "2"}) == {"a": "1+2"}
    assert together({"a": "1+2"}, {"a": "2"}) == {"a": "1+2+2"}

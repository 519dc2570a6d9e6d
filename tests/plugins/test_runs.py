"""Plug-ins and files that are a task run as what ships with exp does: swept, on several ranks, from Python, checked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, exp, python, results

MOONS = Path(__file__).parents[2] / "examples" / "moons.py"
SHORT = ("trainer.max_epochs=2", "trainer.threads=1", "trainer.accelerator=cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(MOONS, tmp_path / "moons.py")
    return tmp_path


def test_the_smallest_study_is_one_file(folder: Path) -> None:
    assert len([line for line in MOONS.read_text().splitlines() if line.strip()]) <= 27
    (folder / "lightning").mkdir()  # hides no package
    (folder / "lightning" / "__init__.py").write_text("raise RuntimeError('shadowed')")
    words = ("--multirun", "task=./moons.py", "act=relu,tanh", *SHORT, "sweep.jobs=2")
    done = exp(*words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = results(folder / "multirun")
    assert len(cells) == 2
    assert "width=16 (int)" in exp("list", "model", "./moons.py", cwd=folder).stdout
    assert all("_exp_study_moons" in cell["code"] for cell in cells)
    assert all(set(cell["test"]) == {"loss", "top1"} for cell in cells)
    text = (folder / "moons.py").read_text()
    (folder / "moons.py").write_text(f"# a comment\n{text}")
    again = exp(*words, cwd=folder).stdout
    assert "0 cells run, 2 not run again" in again
    assert "stale" not in again
    (folder / "moons.py").write_text(text.replace("2, width)", "2, 2 * width // 2)"))
    assert "2 stale" in exp(*words, cwd=folder).stdout


@pytest.mark.slow
def test_two_ranks_see_what_one_does(folder: Path) -> None:
    for words in ((), ("trainer=ddp", "trainer.devices=2", "cells.dir=two")):
        done = exp("task=./moons.py", *SHORT, *words, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Next: exp task=./moons.py " in done.stdout
    one, two = results(folder / "multirun")[0], results(folder / "two")[0]
    assert (one["world_size"], two["world_size"]) == (1, 2)
    assert one["samples_seen"] == two["samples_seen"]
    assert two["test"]["top1"] == pytest.approx(one["test"]["top1"], abs=1)


@pytest.mark.slow
def test_check_looks_a_task_over(folder: Path) -> None:
    done = exp("check", "task=./moons.py", "trainer.threads=1", "--format=json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["subject"]: one for one in json.loads(done.stdout)}
    assert {name: one["state"] for name, one in found.items()} == dict.fromkeys(
        ("data", "learns", "resumes", "time"), "ok"
    )
    assert "1000 train, 500 val, 500 test" in found["data"]["text"]
    assert not (folder / "multirun").exists()
    stuck = exp("check", "task=./moons.py", "optim.lr=1e-9", "trainer.threads=1", cwd=folder)
    assert stuck.returncode == 1
    assert "in 200 steps; it hardly falls" in stuck.stdout


def test_test_samples_among_the_training_samples_are_counted(folder: Path) -> None:
    text = (folder / "moons.py").read_text()
    leaking = text.replace("random_state=seed", "random_state=seed % 2").replace('"test": 500', '"test": 1000')
    (folder / "moons.py").write_text(leaking)
    words = ("trainer.threads=1", "trainer.max_epochs=1")
    code = f"""
from exp.options.compose import resolved
from exp.run.check import _data
print(_data(resolved(["task=./moons.py", *{words}])))
"""
    done = python(code, cwd=folder)
    assert "state='bad', text='1000 train, 500 val, 1000 test; 1000 of the test samples" in done.stdout, done.stderr


DOOR = """
import json, sys, threading
import exp
options = ("task=./moons.py", "trainer.max_epochs=2", "trainer.threads=1")
cell = exp.run(*options)
assert "torch" not in sys.modules
assert exp.run(*options).result() == cell.result()
cells = exp.sweep(*options, "act=relu,tanh", "seed=0,1")
frame = exp.cells("multirun").frame()
thread_cells = []
thread = threading.Thread(target=lambda: thread_cells.append(exp.run(*options, "width=4")))
thread.start()
thread.join()
model = cell.load()
try:
    exp.run(*options, "widht=4")
except ValueError as error:
    wrong = str(error)
print(json.dumps({"test": cell.result()["test"], "cells": len(cells), "columns": list(frame.columns), "rows": len(frame),
    "training": model.training, "thread": thread_cells[0].status()["state"], "wrong": wrong,
    "same": exp.Cell.at(cell.path).result() == cell.result(), "curve": len(cell.metrics),
    "planned": [one.state for one in exp.plan(*options, "seed=0,7")], "repr": repr(cell)}))
"""


@pytest.mark.slow
def test_from_python(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DOOR],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Next: exp --multirun task=./moons.py trainer.max_epochs=2 trainer.threads=1 seed=0,1,2 runs" in done.stdout
    got = json.loads(done.stdout.splitlines()[-1])
    assert (got["cells"], got["rows"]) == (4, 4)
    assert got["curve"] >= 5
    assert {"cell", "state", "seed", "model.act", "top1", "params"} <= set(got["columns"])
    assert "task.smoothing" not in got["columns"]
    assert not got["training"]
    assert got["thread"] == "done"
    assert got["same"]
    assert got["planned"] == ["done", "missing"]
    assert got["wrong"].startswith("widht")
    assert got["repr"].endswith(": done>")

"""Real sweeps: real server, real processes, real signals."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import TINY, exp, results, start
from tests.run.test_resume import wait_for

GRID = ["--multirun", *TINY, "sweep.jobs=2"]


def test_a_sweep_runs_once_and_then_only_what_is_missing(tmp_path: Path) -> None:
    first = exp(*GRID, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 cells run, 0 not run again" in first.stdout
    assert len(results(tmp_path / "multirun")) == 2
    again = exp(*GRID, "att=se,none", "trainer.max_epochs=1", cwd=tmp_path)
    assert "0 cells run, 2 not run again" in again.stdout
    none = exp("--multirun", "att=none,custom", "att.target=x:Y", cwd=tmp_path)
    assert "att.target: att=none has no such option; att=custom would take it" in none.stderr
    dry = exp(*GRID, "att=ca,se", "att.reduction=x", cwd=tmp_path)
    assert "att.reduction=x: expected int" in dry.stderr, "an option of a varied part is known to each cell"
    assert all((path / "log.txt").exists() for path in tmp_path.glob("multirun/attention/*"))


@pytest.mark.slow
def test_a_wider_grid_runs_what_is_new(tmp_path: Path) -> None:
    assert exp(*GRID, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path).returncode == 0
    before = {run["key"]: run["weights_sha256"] for run in results(tmp_path / "multirun")}
    more = exp(*GRID, "att=none,se", "seed=0,1", "trainer.max_epochs=1", cwd=tmp_path)
    assert "2 cells run, 2 not run again" in more.stdout
    after = {run["key"]: run["weights_sha256"] for run in results(tmp_path / "multirun")}
    assert before.items() <= after.items()
    assert "(2)" in more.stdout, "seeds are averaged"


def test_nothing_starts_before_all_is_checked(tmp_path: Path) -> None:
    for words, said in [
        (["att=none,triplet", "kernel_size=3"], "att=none"),
        (["att=none,tripple"], "did you mean 'triplet'"),
        (["att=none,se", "data=cifar100", "data.root=nowhere"], "data.root is nowhere"),
        (["att=none,se", "reduction=8"], "nothing in this run takes it"),
    ]:
        done = exp(*GRID, *words, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not (tmp_path / "multirun").exists()


@pytest.mark.slow
def test_a_failed_cell_stops_no_other_and_is_told(tmp_path: Path) -> None:
    cells = tmp_path / "cells.yaml"
    cells.write_text("- {att: none, optim.name: sgd, lr: 1.0e+30}\n- {att: se}\n")
    done = exp(*GRID, "trainer.max_epochs=1", f"sweep.cells={cells}", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 cell run" in done.stdout
    assert "diverged" in done.stdout
    assert "error.txt" in done.stdout
    assert len(results(tmp_path / "multirun")) == 1


@pytest.mark.slow
def test_the_first_failure_stops_a_sweep_that_is_told_so(tmp_path: Path) -> None:
    """The cell that runs beside the failing one stops, the third never begins, a Ctrl-C is not claimed.

    What a cell is, the sweep says: one told to stop before it could listen leaves "running" in its file and no lock.
    """
    cells = tmp_path / "cells.yaml"
    cells.write_text("- {att: none, optim.name: sgd, lr: 1.0e+30}\n- {att: se}\n- {att: eca}\n")
    words = [*GRID, "trainer.max_epochs=400", "trainer.save_every=0.2", f"sweep.cells={cells}"]
    done = exp(*words, "sweep.on_error=stop", cwd=tmp_path)
    assert done.returncode == 1
    assert "0 cells run" in done.stdout
    assert "2 cells are not finished; the same command goes on from there" in done.stdout
    assert "Interrupted" not in done.stdout
    assert not list(tmp_path.glob("multirun/*/*-eca-*/status.json"))
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("none ", "se ", "eca "))]
    assert [(row[0], row[2]) for row in rows] == [("none", "diverged"), ("se", "waiting"), ("eca", "waiting")]


@pytest.mark.slow
def test_a_killed_cell_is_a_failed_one_and_is_tried_again(tmp_path: Path) -> None:
    """As the kernel does when memory runs out: SIGKILL to the cell alone."""
    process = start(
        *GRID, "att=none,se", "trainer.max_epochs=400", "sweep.retry=1", "trainer.save_every=0.2", cwd=tmp_path
    )
    wait_for(lambda: len(list(tmp_path.glob("multirun/*/*/last.ckpt"))) == 2, process)
    status = json.loads(next(tmp_path.glob("multirun/*/*-se-*/status.json")).read_text())
    os.kill(status["pid"], signal.SIGKILL)
    wait_for(lambda: attempt(tmp_path) == 2, process)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    said = (tmp_path / "out.txt").read_text()
    assert "To go on: python -m exp --multirun" in said
    assert not results(tmp_path / "multirun")
    assert not list(tmp_path.glob("multirun/*/*/error.txt"))


def attempt(folder: Path) -> int:
    try:
        return json.loads(next(folder.glob("multirun/*/*-se-*/status.json")).read_text())["attempt"]
    except (ValueError, KeyError):
        return 0


@pytest.mark.slow
def test_killing_the_front_leaves_nothing_running_and_the_sweep_goes_on(tmp_path: Path) -> None:
    words = [*GRID, "att=none,se", "trainer.max_epochs=15", "trainer.save_every=0.3"]
    process = start(*words, cwd=tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("multirun/*/*/last.ckpt"))) == 2, process)
    pids = [json.loads(path.read_text())["pid"] for path in tmp_path.glob("multirun/*/*/status.json")]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not results(tmp_path / "multirun")
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = exp(*words, "cells.dir=whole", cwd=tmp_path)
    assert whole.returncode == 0
    hashes = [{run["slug"]: run["weights_sha256"] for run in results(tmp_path / d)} for d in ("multirun", "whole")]
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_two_sweeps_at_once_run_no_cell_twice(tmp_path: Path) -> None:
    words = [*GRID, "att=none,se,eca,ca", "trainer.max_epochs=10"]
    others = [start(*words, cwd=tmp_path) for _ in range(2)]
    assert {process.wait(240) for process in others} <= {0, 1}
    runs = results(tmp_path / "multirun")
    assert len(runs) == 4
    assert {run["attempts"] for run in runs} == {1}

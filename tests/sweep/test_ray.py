"""A Ray cluster on this machine, of the size of a test."""

import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, TINY, exp, results, start
from tests.run.test_resume import wait_for

GRID = ["--multirun", "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", *TINY]

with_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="hydra-ray-launcher is not installed: make test-ray"
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "RAY_USAGE_STATS_ENABLED", "0")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="hydra-ray-launcher is installed")
def test_without_the_plugin_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = exp("--multirun", "hydra/launcher=ray", "att=se", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'exp-tables[ray]'" in done.stderr


@with_ray
def test_cells_run_once_whoever_runs_them(tmp_path: Path) -> None:
    first = exp(*GRID, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    runs = results(tmp_path / "multirun")
    assert len(runs) == 2
    again = exp(*GRID, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path)
    assert "0 cells run, 2 not run again" in again.stdout
    ours = exp("--multirun", *TINY, "att=none,se", "trainer.max_epochs=1", "cells.dir=ours", cwd=tmp_path)
    assert ours.returncode == 0
    hashes = [{run["key"]: run["weights_sha256"] for run in results(tmp_path / name)} for name in ("multirun", "ours")]
    assert hashes[0] == hashes[1]


@with_ray
def test_a_killed_worker_is_replaced_and_goes_on_exactly(tmp_path: Path) -> None:
    words = [*GRID, "att=se", "trainer.max_epochs=12", "trainer.save_every=0.2"]
    process = start(*words, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")), process, seconds=180)
    pid = json.loads(next(tmp_path.glob("multirun/attention/*/status.json")).read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    assert process.wait(240) == 0, (tmp_path / "out.txt").read_text()
    (run,) = results(tmp_path / "multirun")
    assert run["attempts"] == 2
    assert exp(*TINY, *words[-3:], "cells.dir=straight", cwd=tmp_path).returncode == 0
    assert run["weights_sha256"] == results(tmp_path / "straight")[0]["weights_sha256"]


@with_ray
def test_a_cell_that_fails_is_reported_and_exits_1(tmp_path: Path) -> None:
    done = exp(*GRID, "att=none", "optim.name=sgd", "lr=1.0e+30", "trainer.max_epochs=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert "Traceback" not in done.stdout

"""Optuna's sweeper over our launcher: the same cells, the same skipping."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp.options.errors import ConfigError
from exp.sweep.hydra import _same_direction
from tests.conftest import TINY, exp, results, start
from tests.run.test_resume import wait_for

GRID = ["--multirun", "hydra/sweeper=optuna", *TINY, "trainer.max_epochs=1"]

with_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="hydra-optuna-sweeper is not installed: make test-plugins"
)


@pytest.mark.skipif(importlib.util.find_spec("optuna") is not None, reason="hydra-optuna-sweeper is installed")
def test_without_the_plugin_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = exp(*GRID, "att=none,se", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'exp-tables[optuna]'" in done.stderr


def test_the_direction_is_that_of_the_metric() -> None:
    for direction, mode in (("maximize", "max"), ("minimize", "min")):
        _same_direction(OmegaConf.create({"hydra": {"sweeper": {"direction": direction}}}), {mode})
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.direction=minimize.*calls for maximize"):
        _same_direction(OmegaConf.create({"hydra": {"sweeper": {"direction": "minimize"}}}), {"max"})
    _same_direction(OmegaConf.create({"hydra": {"sweeper": {}}}), {"max"})


@with_optuna
def test_trials_are_cells_and_identical_ones_run_once(tmp_path: Path) -> None:
    """Six trials over two cells: two trainings; the best is that of the results; again, nothing runs."""
    words = [*GRID, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=3"]
    words += ["hydra.sweeper.sampler.seed=1", "att=choice(none,se)", "cells.dir=here"]
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = results(tmp_path / "here")
    assert len(runs) == 2
    assert {run["attempts"] for run in runs} == {1}
    best = OmegaConf.load(tmp_path / "here" / "optimization_results.yaml")
    top = max(runs, key=lambda run: run["best"]["value"])
    assert best.best_value == pytest.approx(top["best"]["value"])
    assert best.best_params.att == top["config"]["att"]["name"]
    again = exp(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 cells run" not in again.stdout
    assert "2 cells run" not in again.stdout
    grid = exp("--multirun", *TINY, "trainer.max_epochs=1", "att=none,se", "cells.dir=here", cwd=tmp_path)
    assert "0 cells run, 2 not run again" in grid.stdout, "our sweeper knows them"


@with_optuna
def test_a_failed_trial_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    words = [*GRID, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    words += ["optim.name=sgd", "lr=1.0e+30", "att=choice(none,se)"]
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert len(list(tmp_path.glob("multirun/attention/*"))) == 1, "it stops at the first"
    assert done.stderr.strip().splitlines()[-1].startswith("exp: resnet18")
    assert "max_failure_rate" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@with_optuna
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = [*GRID, "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]
    words += ["att=choice(none,se)", "trainer.max_epochs=15", "trainer.save_every=0.2", "hydra.sweeper.sampler.seed=1"]
    process = start(*words, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")), process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130, (tmp_path / "out.txt").read_text()
    assert "To go on: python -m exp --multirun hydra/sweeper=optuna" in (tmp_path / "out.txt").read_text()
    assert "Traceback" not in (tmp_path / "out.txt").read_text()
    assert not results(tmp_path / "multirun")
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {run["attempts"] for run in results(tmp_path / "multirun")} == {2}


@with_optuna
def test_looking_for_the_worst_is_refused(tmp_path: Path) -> None:
    done = exp(*GRID, "att=choice(none,se)", cwd=tmp_path)
    assert done.returncode == 2
    assert "hydra.sweeper.direction=minimize" in done.stderr
    assert not list(tmp_path.glob("multirun/*/*"))

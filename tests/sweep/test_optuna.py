"""A search with Optuna: its trials are cells, one that was stopped goes on, and its pruner stops cells."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp.cells.cell import read_json
from exp.options.errors import ConfigError
from exp.sweep.hydra import _same_direction
from exp.sweep.search import SearchOptions, Space
from tests.conftest import TINY, exp, results, start
from tests.run.test_resume import wait_for

GRID = ["--multirun", "hydra/sweeper=optuna", *TINY, "trainer.max_epochs=1"]

with_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="optuna is not installed: make test-plugins"
)


@pytest.mark.skipif(importlib.util.find_spec("optuna") is not None, reason="optuna is installed")
def test_without_optuna_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = exp(*GRID, "att=none,se", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'exp-tables[optuna]'" in done.stderr


def test_the_direction_is_that_of_the_metric() -> None:
    for direction, mode in (("maximize", "max"), ("minimize", "min")):
        _same_direction(OmegaConf.create({"hydra": {"sweeper": {"direction": direction}}}), {mode})
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.direction=minimize.*calls for maximize"):
        _same_direction(OmegaConf.create({"hydra": {"sweeper": {"direction": "minimize"}}}), {"max"})
    _same_direction(OmegaConf.create({"hydra": {"sweeper": {}}}), {"max"})


def test_the_space_of_a_command_line() -> None:
    words = ["width=4", "att=none,se", "lr=tag(log, interval(0.1, 1))", "seed=0,1"]
    space = Space.of(words)
    assert space.fixed == ("width=4",)
    assert list(space.searched) == ["att", "lr"]
    assert space.cells({"att": "se", "lr": 0.5}) == [
        ["width=4", "att=se", "lr=0.5", "seed=0"],
        ["width=4", "att=se", "lr=0.5", "seed=1"],
    ]
    again = Space.of([words[2], words[1], words[0], words[3], "sweep.jobs=2"])
    assert again.name(SearchOptions()) == space.name(SearchOptions(n_trials=3))
    assert again.name(SearchOptions()) != Space.of([*words, "optim.clip=1"]).name(SearchOptions())
    with pytest.raises(ConfigError, match="nothing is to be searched"):
        Space.of(["width=4", "seed=0,1"])


def test_a_grid_has_no_intervals(tmp_path: Path) -> None:
    done = exp("--multirun", "lr=interval(0.1,1)", cwd=tmp_path)
    assert done.returncode == 2
    assert "an interval has no list of values; give some, or search it with hydra/sweeper=optuna" in done.stderr


@with_optuna
def test_what_each_kind_of_list_becomes() -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    words = [
        "a=x,y",
        "b=interval(0,1)",
        "c=tag(log,interval(0.1,1))",
        "d=int(interval(1,5))",
        "e=range(2,9,3)",
        "f=1,2",
    ]
    assert Space.of(words).distributions() == {
        "a": CategoricalDistribution(["x", "y"]),
        "b": FloatDistribution(0, 1),
        "c": FloatDistribution(0.1, 1, log=True),
        "d": IntDistribution(1, 5),
        "e": IntDistribution(2, 8, step=3),
        "f": CategoricalDistribution(["1", "2"]),
    }


@with_optuna
def test_trials_are_cells_and_identical_ones_run_once(tmp_path: Path) -> None:
    """Four trials over two cells: two trainings; the best is that of the results; again, nothing runs."""
    words = [*GRID, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "att=choice(none,se)", "cells.dir=here"]
    done = exp(*words, "hydra.sweeper.sampler.seed=1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = results(tmp_path / "here")
    assert len(runs) <= 2
    assert {run["attempts"] for run in runs} == {1}
    best = OmegaConf.load(tmp_path / "here" / "optimization_results.yaml")
    top = max(runs, key=lambda run: run["best"]["value"])
    assert best.best_value == pytest.approx(top["best"]["value"])
    assert best.best_params.att == top["config"]["att"]["name"]
    again = exp(*words, "hydra.sweeper.sampler.seed=1", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "4 of 4 trials made" in again.stdout
    assert "to run" not in again.stdout
    assert again.stdout.splitlines()[-1].startswith("Next: exp ")


@with_optuna
def test_one_that_diverges_counts_as_worse_and_none_that_ended_is_code_1(tmp_path: Path) -> None:
    words = [*GRID, "hydra.sweeper.n_trials=1", "optim.name=sgd", "lr=1.0e+30", "att=choice(none,se)"]
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert "no trial has ended well" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@with_optuna
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("hydra.sweeper.direction=minimize",), "direction=minimize: top1 calls for maximize"),
        (("hydra.sweeper.sampler.name=grid",), "hydra/sweeper/sampler=grid: not one of tpe"),
        (("sweep.dry=true",), "sweep.dry=True: what a search runs"),
        (("optim.lrr=3",), "optim.lrr"),
    ],
)
def test_what_cannot_begin_is_one_line(words: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    done = exp(*GRID, "att=choice(none,se)", *words, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert problem in done.stderr
    assert not list(tmp_path.glob("multirun/attention/*"))


@with_optuna
@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_samplers_with_packages_of_their_own_go_on_to_the_same_trials(sampler: str, tmp_path: Path) -> None:
    words = [*GRID, f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_jobs=1"]
    words += ["lr=tag(log, interval(1e-3, 1e-1))", "label_smoothing=interval(0, 0.2)", "trainer.max_epochs=1"]
    if sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        done = exp(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (
            2, "exp: hydra/sweeper/sampler=cmaes: needs another package: pip install cmaes\n"
        )  # fmt: skip
        return
    told = []
    for folder, trials in (("whole", 3), ("parts", 2), ("parts", 3)):
        done = exp(*words, f"hydra.sweeper.n_trials={trials}", f"cells.dir={folder}", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        told.append(
            [line.removesuffix("  best so far") for line in done.stdout.splitlines() if line.startswith("trial ")]
        )
    assert told[0] == told[1] + told[2]
    assert len(told[0]) == 3


@with_optuna
def test_the_pruner_stops_a_cell_which_a_plain_run_goes_on_with(tmp_path: Path) -> None:
    """One study over two commands: first a rate that learns, then rates at which nothing is learnt."""
    words = ["--multirun", "hydra/sweeper=optuna", *TINY, "trainer.max_epochs=6", "hydra.sweeper.study_name=rates"]
    words += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=1", "optim.warmup=0"]
    first = exp(*words, "lr=interval(0.003,0.0031)", "hydra.sweeper.n_trials=1", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    done = exp(*words, "lr=interval(1.0e-09,2.0e-09)", "hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "study rates: 1 of 2 trials made" in done.stdout
    assert "e-09  pruned" in done.stdout
    states = {read_json(path)["state"] for path in tmp_path.glob("multirun/attention/*/status.json")}
    assert states == {"done", "waiting"}


@pytest.mark.slow
@with_optuna
def test_ctrl_c_saves_and_the_same_command_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    words = [
        *GRID,
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_jobs=2",
        "att=choice(none,se)",
        "lr=interval(0.001,0.01)",
    ]
    words += ["trainer.max_epochs=15", "trainer.save_every=0.2"]
    process = start(*words, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")), process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == 130, (tmp_path / "out.txt").read_text()
    assert "To go on: python -m exp --multirun hydra/sweeper=optuna" in (tmp_path / "out.txt").read_text()
    assert "Traceback" not in (tmp_path / "out.txt").read_text()
    assert not results(tmp_path / "multirun")
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = exp(*words, "cells.dir=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    first, second = results(tmp_path / "multirun"), results(tmp_path / "whole")
    assert [run["key"] for run in first] == [run["key"] for run in second]
    assert [run["weights_sha256"] for run in first] == [run["weights_sha256"] for run in second]
    assert 2 in {run["attempts"] for run in first}

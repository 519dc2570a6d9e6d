"""Ranks that srun started: real processes with the variables srun sets; only srun itself is left out."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins.environments import SLURMEnvironment

from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.run import train as training
from exp.run.ddp import ALONE, Ranks
from exp.run.rank import Rank
from exp.run.srun import first_host, step
from tests.conftest import ENVIRONMENT, TINY, exp, results
from tests.run.test_resume import wait_for

JOBS = itertools.count(os.getpid())
"""Numbers of jobs, and with them ports, that no other test has."""


def variables(task: int, tasks: int = 2, nodes: int = 1, job: int = 1) -> dict[str, str]:
    per_node = tasks // nodes
    return {
        "SLURM_STEP_NUM_TASKS": str(tasks),
        "SLURM_STEP_NUM_NODES": str(nodes),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(tasks),
        "SLURM_PROCID": str(task),
        "SLURM_LOCALID": str(task % per_node),
        "SLURM_NODEID": str(task // per_node),
        "SLURM_JOB_ID": str(job),
        "SLURM_STEP_ID": "0",
    }


Start = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def srun(tmp_path: Path) -> Iterator[Start]:
    """Starts tasks as ``srun -n TASKS python -m exp`` does; the output of each in ``out-TASK.txt``."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, tasks: int = 2, nodes: int = 1) -> list[subprocess.Popen[str]]:
        job = next(JOBS)
        for task in range(tasks):
            with open(tmp_path / f"out-{task}.txt", "w") as out:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "exp", *words],
                        cwd=tmp_path,
                        env=ENVIRONMENT | variables(task, tasks, nodes, job),
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        text=True,
                    )
                )
        return started[-tasks:]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[03-05,9],cpu1", "gpu03"),
        ("a-b[7]", "a-b7"),
        ("r[1-2]-ib,r9", "r1-ib"),
    ],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


def test_what_srun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert step() is None
    for name, value in variables(3, tasks=4, nodes=2, job=12345).items():
        monkeypatch.setenv(name, value)
    found = step()
    assert found is not None
    assert found.rank == Rank(3, 4, found.port + 1, "localhost", 2)
    assert (found.rank.per_node, found.rank.local_rank) == (2, 1)
    assert 1024 < found.port < 32_000
    found.check(4)
    with pytest.raises(ConfigError, match="srun started 4 tasks"):
        found.check(2)
    monkeypatch.setenv("SLURM_LOCALID", "0")
    with pytest.raises(ConfigError, match="--distribution=block"):
        step()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert step() is None


@pytest.mark.slow
def test_a_sweep_or_a_wrong_number_of_devices_is_refused(srun: Start, tmp_path: Path) -> None:
    for words, said in ((["--multirun", "att=se,ca"], "start one"), (["att=se"], "trainer.devices=1: srun started 2")):
        (task, *others) = srun(*words)
        assert task.wait(120) == 2
        assert [other.wait(120) for other in others] == [2]
        assert said in (tmp_path / "out-0.txt").read_text()
    assert not (tmp_path / "multirun").exists()


def test_lightning_takes_neither_slurms_ranks_nor_its_requeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that submitit started: one task of a job, whose variables Lightning would follow by itself."""
    for name, value in (variables(0, tasks=1) | {"SLURM_JOB_NAME": "exp"}).items():
        monkeypatch.setenv(name, value)
    assert SLURMEnvironment.detect(), "left alone, Lightning would"
    config = resolved(TINY).config
    trainer = training.build_trainer(config, tmp_path, ALONE, torch.device("cpu"), [], False)
    assert isinstance(trainer._accelerator_connector.cluster_environment, Ranks)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
def test_tasks_train_the_same_cell_as_ranks_of_our_own(nodes: int, srun: Start, tmp_path: Path) -> None:
    words = [*TINY, "att=se", "trainer.devices=2"]
    for _ in range(2):
        tasks = srun(*words, nodes=nodes)
        assert [task.wait(240) for task in tasks] == [0, 0], [path.read_text() for path in tmp_path.glob("out*")]
    assert "is done; not run again" in (tmp_path / "out-0.txt").read_text()
    own = exp(*words, "cells.dir=own", cwd=tmp_path)
    assert own.returncode == 0, own.stderr
    (run,), (ours,) = results(tmp_path / "multirun"), results(tmp_path / "own")
    assert run["world_size"] == 2
    assert run["samples_seen"] == 2 * 1222
    assert run["weights_sha256"] == ours["weights_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_task_ends_the_other(victim: int, srun: Start, tmp_path: Path) -> None:
    tasks = srun(*TINY, "trainer.devices=2", "trainer.max_epochs=10000")
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/metrics.jsonl")), tasks[0], seconds=300)
    tasks[victim].kill()
    assert tasks[1 - victim].wait(120) != 0, "long before the half hour after which a rank gives the other up"
    tasks[victim].wait()
    if victim == 1:
        status = json.loads(next(tmp_path.glob("multirun/*/*/status.json")).read_text())
        assert status["state"] == "failed"


@pytest.mark.slow
def test_a_stop_of_all_tasks_saves_and_they_go_on(srun: Start, tmp_path: Path) -> None:
    words = [*TINY, "att=se", "trainer.devices=2", "trainer.max_epochs=12", "trainer.save_every=0"]
    tasks = srun(*words)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/metrics.jsonl")), tasks[0], seconds=300)
    for task in reversed(tasks):
        task.send_signal(signal.SIGTERM)
    assert tasks[0].wait(120) == 130
    assert tasks[1].wait(120) == 0
    assert [task.wait(240) for task in srun(*words)] == [0, 0]
    assert exp(*words, "cells.dir=own", cwd=tmp_path).returncode == 0
    (run,), (ours,) = results(tmp_path / "multirun"), results(tmp_path / "own")
    assert run["weights_sha256"] == ours["weights_sha256"]
    assert run["attempts"] == 2

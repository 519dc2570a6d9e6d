"""Jobs of submitit's local executor: the same files, the same pickles and the same signals as under SLURM."""

import importlib.util
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, TINY, exp, python, results, start
from tests.run.test_resume import wait_for

GRID = ["--multirun", "hydra/launcher=slurm_local", *TINY]
LONG = [*GRID, "att=se", "trainer.max_epochs=25", "trainer.save_every=0"]
"""Saves when told to, and at no other time."""

with_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="hydra-submitit-launcher is not installed: make test-plugins"
)


def from_python(*overrides: str, cwd: Path) -> subprocess.Popen[str]:
    """Starts ``exp.sweep`` in a process as a notebook or script has it; it prints the states of the cells."""
    interruptible = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # in the background too
    code = f"{interruptible}; import exp; print([cell.status()['state'] for cell in exp.sweep(*{overrides!r})])"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], cwd=cwd, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("submitit") is not None, reason="hydra-submitit-launcher is installed")
def test_without_the_plugin_python_says_so_too(tmp_path: Path) -> None:
    done = python("import exp; exp.sweep('hydra/launcher=slurm_local', 'att=se')", cwd=tmp_path)
    assert done.stderr.splitlines()[-1].startswith("exp.options.errors.ConfigError: hydra/launcher="), done.stderr
    assert done.stderr.endswith("is not installed: pip install 'exp-tables[slurm]'\n")


@pytest.mark.skipif(importlib.util.find_spec("submitit") is not None, reason="hydra-submitit-launcher is installed")
def test_without_the_plugin_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = exp("--multirun", "hydra/launcher=slurm", "att=se", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'exp-tables[slurm]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@with_submitit
def test_without_slurm_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(tmp_path))
    done = exp("--multirun", "hydra/launcher=slurm", "att=se", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no SLURM here" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "multirun").exists()


@with_submitit
@pytest.mark.parametrize("word", ["sweep.jobs=2", "sweep.retry=1", "sweep.on_error=stop"])
def test_options_of_our_launcher_are_refused(word: str, tmp_path: Path) -> None:
    done = exp(*GRID, "att=se", word, cwd=tmp_path)
    assert done.returncode == 2
    assert word in done.stderr


@with_submitit
def test_what_sbatch_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An sbatch that keeps the script and refuses it: real directives, and a refusal in one line."""
    for name, text in (
        (
            "sbatch",
            f'cp "$1" {tmp_path}/script.sh; echo "sbatch: error: invalid partition specified: none" >&2; exit 1',
        ),
        ("srun", "exit 1"),
    ):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setitem(ENVIRONMENT, "PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    words = ["hydra/launcher=slurm", "hydra.launcher.partition=none", "att=none,se", *TINY]
    done = exp("--multirun", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "hydra/launcher=slurm: " in done.stdout
    assert "invalid partition" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    script = (tmp_path / "script.sh").read_text()
    for directive in (
        "--requeue",
        "--signal=USR2@120",
        "--array=0-1%2",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
        "--gpus-per-node=1",
        "--partition=none",
        "--open-mode=append",
    ):
        assert f"#SBATCH {directive}\n" in script
    assert str(tmp_path / "multirun" / ".submitit") in script


@with_submitit
def test_cells_run_once_whoever_runs_them(tmp_path: Path) -> None:
    first = exp(*GRID, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    runs = results(tmp_path / "multirun")
    assert len(runs) == 2
    assert "cells.dir" in runs[0]["command"]
    assert list((tmp_path / "multirun" / ".submitit").glob("*/*_log.out"))
    again = exp("--multirun", *TINY, "att=none,se", "trainer.max_epochs=1", cwd=tmp_path)
    assert "0 cells run, 2 not run again" in again.stdout, "our launcher knows them"
    anew = exp(*GRID, "att=se", "trainer.max_epochs=1", "sweep.force=done", cwd=tmp_path)
    assert "1 cell run" in anew.stdout
    assert {run["weights_sha256"] for run in results(tmp_path / "multirun")} == {run["weights_sha256"] for run in runs}


@with_submitit
def test_a_cell_that_fails_is_reported_and_exits_1(tmp_path: Path) -> None:
    done = exp(*GRID, "att=none", "optim.name=sgd", "lr=1.0e+30", "trainer.max_epochs=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert "error.txt" in done.stdout


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("straight")
    assert exp(*LONG[2:], cwd=folder).returncode == 0
    return str(results(folder / "multirun")[0]["weights_sha256"])


def cell_pid(folder: Path) -> int:
    return int(json.loads(next(folder.glob("multirun/attention/*/status.json")).read_text())["pid"])


def trains(folder: Path) -> bool:
    """Whether the cell has made steps, so that its signals are its own."""
    lines = [path.read_text() for path in folder.glob("multirun/attention/*/metrics.jsonl")]
    return any('"epoch"' in text for text in lines)


@pytest.mark.slow
@with_submitit
def test_a_warned_job_saves_is_requeued_and_ends_the_same(tmp_path: Path, straight: str) -> None:
    process = start(*LONG, cwd=tmp_path)
    wait_for(lambda: trains(tmp_path), process)
    os.kill(cell_pid(tmp_path), signal.SIGUSR2)
    assert process.wait(240) == 0, (tmp_path / "out.txt").read_text()
    (run,) = results(tmp_path / "multirun")
    assert run["weights_sha256"] == straight
    assert run["attempts"] == 2


@pytest.mark.slow
@with_submitit
def test_a_preempted_job_saves_at_once_and_the_same_command_goes_on(tmp_path: Path, straight: str) -> None:
    """SLURM sends SIGTERM, waits, and sends SIGKILL."""
    process = start(*LONG, cwd=tmp_path)
    wait_for(lambda: trains(tmp_path), process)
    pid = cell_pid(tmp_path)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: list(tmp_path.glob("multirun/attention/*/last.ckpt")), process)
    os.kill(pid, signal.SIGKILL)
    assert process.wait(120) == 1
    assert not results(tmp_path / "multirun")
    assert "1 cell is not finished; the same command goes on" in (tmp_path / "out.txt").read_text()
    again = exp(*LONG, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    (run,) = results(tmp_path / "multirun")
    assert run["weights_sha256"] == straight
    assert run["attempts"] == 2


@pytest.mark.slow
@with_submitit
def test_after_the_command_was_killed_the_same_one_waits_for_its_jobs(tmp_path: Path, straight: str) -> None:
    """Jobs outlive the command, as on a cluster; one that is killed meanwhile is submitted anew."""
    first = start(*LONG, cwd=tmp_path)
    wait_for(lambda: trains(tmp_path), first)
    first.kill()
    first.wait(60)
    second = start(*LONG, cwd=tmp_path)
    wait_for(
        lambda: "1 cell runs in another process and will be waited for" in (tmp_path / "out.txt").read_text(), second
    )
    pid = cell_pid(tmp_path)
    os.kill(pid, signal.SIGTERM)  # it saves
    wait_for(lambda: list(tmp_path.glob("multirun/attention/*/last.ckpt")), second)
    os.kill(pid, signal.SIGKILL)
    assert second.wait(240) == 0, (tmp_path / "out.txt").read_text()
    (run,) = results(tmp_path / "multirun")
    assert (run["attempts"], run["weights_sha256"]) == (2, straight)
    assert "1 cell run, 0 not run again" in (tmp_path / "out.txt").read_text()


@with_submitit
def test_from_python_as_from_the_command_line(tmp_path: Path) -> None:
    words = ("hydra/launcher=slurm_local", *TINY, "trainer.max_epochs=1")
    printed, _ = from_python(*words, "att=none,se", cwd=tmp_path).communicate(timeout=300)
    assert "2 cells run, 0 not run again" in printed, printed
    assert printed.splitlines()[-1] == "['done', 'done']"
    assert "slurm" not in " ".join(run["slug"] for run in results(tmp_path / "multirun"))
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\nbase: {task: attention, recipe: quick}\nrows: {none: {att: none}, se: {att: se}}\n"
        "columns: {acc: {metric: test/top1}}\nseeds: [0]\n"
    )
    code = f"import exp; print(repr(exp.table('mine', *{words!r}).run()))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cells: 2 done" in done.stdout, done.stdout  # the same cells, so nothing was submitted
    printed, _ = from_python(*words, "att=see", cwd=tmp_path).communicate(timeout=300)
    assert printed.splitlines()[-1].startswith("exp.options.errors.ConfigError: att=see: no such choice"), printed


@pytest.mark.slow
@with_submitit
def test_an_interrupted_call_leaves_the_jobs_and_the_same_one_waits_for_them(tmp_path: Path, straight: str) -> None:
    words = LONG[1:]
    call = from_python(*words, cwd=tmp_path)
    wait_for(lambda: trains(tmp_path), call)
    call.send_signal(signal.SIGINT)
    printed, _ = call.communicate(timeout=120)
    assert printed.splitlines()[-1].startswith("KeyboardInterrupt"), printed
    assert "Interrupted; everything is saved. To go on: python -m exp --multirun hydra/launcher=slurm_local" in printed
    printed, _ = from_python(*words, cwd=tmp_path).communicate(timeout=300)
    assert printed.splitlines()[-1] == "['done']", printed
    assert results(tmp_path / "multirun")[0]["weights_sha256"] == straight

"""Runs one cell in this process, from lock to result; every launcher ends up here."""

import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp import registry
from exp.cell import Cell, write_json
from exp.config import ConfigError
from exp.config.resolve import Resolved
from exp.errors import DataError
from exp.lock import Locked
from exp.machine import cpus
from exp.provenance import code_in_use, provenance
from exp.terminal import amount

if TYPE_CHECKING:
    from exp.srun import Tasks
    from exp.track.mirror import Mirror

EXIT_CODES = {"done": 0, "failed": 1, "diverged": 1, "waiting": 130, "running": 1}
"""Exit code of a process that ran a cell, by the state it left."""


def run_cell(
    resolved: Resolved,
    *,
    command: str,
    threads: int = 0,
    anew: bool = False,
    report: Callable[[dict[str, Any]], None] = lambda progress: None,
    tasks: "Tasks | None" = None,
) -> str:
    """Runs a cell unless it is done, goes on where it was stopped, and leaves its result or its traceback.

    Args:
        resolved: The choices.
        command: What the user typed, for the record.
        threads: CPU threads of a rank for a cell that starts for the first time; 0 shares all cores among the ranks.
        anew: Whether to throw away what the cell has.
        report: Told of progress.
        tasks: The ranks above 0 where srun has started them; otherwise the cell starts them itself.

    Returns:
        The state it is in now: done, failed, diverged, waiting (interrupted) or running (elsewhere).
    """
    cell = Cell(resolved)
    if cell.result() is not None and not anew:
        return "done"
    try:
        lock = cell.open()
    except Locked:
        return "running"
    try:
        if cell.result() is not None and not anew:
            return "done"
        if anew:
            cell.clear()
        from exp.track.mirror import Mirror

        with Mirror(cell, command) as mirror:
            return _run_locked(cell, command, threads, lock.held, report, mirror, tasks)
    finally:
        lock.release()


def _run_locked(
    cell: Cell,
    command: str,
    threads: int,
    held: Callable[[], bool],
    report: Callable[[dict[str, Any]], None],
    mirror: "Mirror",
    tasks: "Tasks | None",
) -> str:
    from exp import train
    from exp.checkpoint import Interrupted, LockLost
    from exp.ddp import ALONE, Followers
    from exp.tasks.base import Diverged

    config = cell.resolved.config
    before = cell.status()
    attempt = before.get("attempt", 0) + 1
    # Tasks of srun have cores of their own; ranks that the cell starts share what it has.
    own = cpus() if tasks else max(1, cpus() // config["trainer"]["devices"])
    threads = before.get("threads") or config["trainer"]["threads"] or threads or own
    began = before.get("first_started") or time.time()
    started: dict[str, Any] = {"attempt": attempt, "first_started": began, "threads": threads}
    running = started | {"host": os.uname().nodename, "pid": os.getpid()}
    write_json(
        cell.path / "config.json",
        {
            "key": cell.resolved.key,
            "slug": cell.resolved.slug,
            "overrides": list(cell.resolved.overrides),
            "identity": cell.resolved.identity,
            "config": config,
        },
    )
    cell.write_status("running", **running)

    def tell(progress: dict[str, Any]) -> None:
        cell.write_status("running", **running, **{k: v for k, v in progress.items() if k != "epoch_done"})
        report(progress)

    def fail(state: str, error: str, trace: str) -> str:
        (cell.path / "error.txt").write_text(trace)
        cell.write_status(state, **started, error=error)
        return state

    def died(message: str) -> None:
        fail("failed", message, message + "\n")

    followers: Followers | Tasks | None = None
    rank = ALONE
    try:
        fingerprint = registry.source(config["data"]).check()
        if before.get("data", fingerprint) != fingerprint and (cell.path / "last.ckpt").exists():
            raise DataError("the data changed after this cell was stopped; sweep.force=failed runs it from the start")
        running["data"] = started["data"] = fingerprint
        if config["trainer"]["devices"] > 1:
            devices = config["trainer"]["devices"]
            followers = tasks.call(threads, cell.resolved.key, died) if tasks else Followers(cell.path, devices, died)
            rank = followers.lead
        measured = train.run(
            config, cell.path, rank=rank, threads=threads, held=held, report=tell, views=mirror.callbacks
        )
        if followers:
            followers.join()
        _prune(cell, config["cells"]["keep"])
        (cell.path / "error.txt").unlink(missing_ok=True)
        cell.write_result(
            {
                "task": cell.resolved.task,
                "key": cell.resolved.key,
                "slug": cell.resolved.slug,
                "seed": cell.resolved.seed,
                "recipe": config["recipe"],
                "overrides": list(cell.resolved.overrides),
                "identity": cell.resolved.identity,
                "config": config,
                **measured,
                "attempts": attempt,
                "disk_bytes": cell.disk_bytes(),
                "data_fingerprint": fingerprint,
                "code": code_in_use(),
                **provenance(command),
            }
        )
        cell.write_status("done", **started)
        return "done"
    except Interrupted as stopped:
        cell.write_status("waiting", **started, note=str(stopped))
        if followers:
            followers.join(10)
        return "waiting"
    except LockLost:
        return "running"
    except Diverged as error:
        return fail("diverged", str(error), traceback.format_exc())
    except KeyboardInterrupt:
        cell.write_status("waiting", **started, note="interrupted at once, nothing saved since the last checkpoint")
        return "waiting"
    except Exception as error:
        return fail(
            "failed",
            f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}",
            traceback.format_exc(),
        )
    finally:
        if followers:
            followers.kill()


def _prune(cell: Cell, keep: str) -> None:
    for name in ("last", "best"):
        if name not in keep:
            (cell.path / f"{name}.ckpt").unlink(missing_ok=True)


def disk(path: Path) -> str:
    """A folder's size for people."""
    return amount(sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file()))


def under_hydra(config: Any) -> Any:
    """The function that Hydra runs: one cell in this process; leaves the exit code.

    Returns:
        For a sweeper that looks for the best: the monitored metric of the best epoch; the cell's state if it has none.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from exp import outcome, srun
    from exp.config.resolve import resolve
    from exp.terminal import typed_command
    from exp.track.console import Console

    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    try:
        resolved = resolve({str(key): value for key, value in plain.items()}, HydraConfig.get().overrides.task)
        step = srun.step()
        if step is not None:
            step.check(resolved.config["trainer"]["devices"])
        registry.source(resolved.config["data"]).check()
    except (ConfigError, DataError) as error:
        print(f"exp: {error}", file=sys.stderr)
        outcome.code = 2
        return "invalid"
    cell = Cell(resolved)
    if step is not None and step.rank.rank:
        outcome.code = srun.follow(step, resolved, cell.path)
        return "followed"
    launched = HydraConfig.get().mode == RunMode.MULTIRUN
    command = shlex.join(["python", "-m", "exp", *resolved.overrides]) if launched else typed_command()
    console = Console(cell, command)
    force, state = resolved.config["sweep"]["force"], cell.status()["state"]
    anew = force == state or (force == "failed" and state == "diverged")
    console.begin(anew)
    with srun.Tasks(step) if step is not None else nullcontext() as tasks:
        state = run_cell(resolved, command=command, anew=anew, report=console.progress, tasks=tasks)
    console.end(state)
    outcome.code = EXIT_CODES[state]
    if state == "waiting":
        _start_again()
    result = cell.result()
    return result["best"]["value"] if result and result["best"] else state


def _start_again() -> None:
    """Lets a queue that has warned this job put it back in line, now that the cell is saved; else does nothing."""
    handler = signal.getsignal(signal.SIGUSR2)
    if callable(handler):
        handler(signal.SIGUSR2, None)

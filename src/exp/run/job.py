"""Runs one cell in this process, from lock to result; every launcher ends up here."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from exp.cells.cell import FORMER, Cell, other_data
from exp.cells.lock import Lock, Locked
from exp.cells.machine import cpus, threads_allowed
from exp.cells.provenance import edited, note_code, provenance
from exp.options.errors import ConfigError, DataError, brief
from exp.options.resolve import Resolved

if TYPE_CHECKING:
    from exp.callbacks.mirror import Mirror
    from exp.run.srun import Tasks

Report = Callable[[dict[str, Any]], None]
"""Takes how far a cell is: epoch, max_epochs, batch, batches, and the last metrics."""


def run_cell(
    resolved: Resolved,
    *,
    command: str,
    threads: int = 0,
    anew: bool = False,
    report: Report = lambda progress: None,
    tasks: "Tasks | None" = None,
) -> str:
    """Runs a cell unless it is done, goes on where it was stopped, and leaves its result or its traceback.

    Args:
        resolved: The choices.
        command: What the user typed, for the record.
        threads: CPU threads of a rank for a cell that starts for the first time; 0 shares all cores among the ranks.
        anew: Whether to throw away what the cell has.
        report: Takes the progress.
        tasks: The ranks above 0 where srun has started them; otherwise the cell starts them itself.

    Returns:
        The state it is in now: done, failed, diverged, waiting (interrupted) or running (elsewhere).
    """
    cell = Cell.of(resolved)
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
        from exp.callbacks.mirror import Mirror  # loads Lightning, which a cell that is done does not need

        with Mirror(cell, command) as mirror:
            return Attempt(cell, command, threads, tasks).run(lock, report, mirror)
    finally:
        lock.release()


class Attempt:
    """One attempt at a cell whose lock is held.

    Args:
        cell: The cell.
        command: What the user typed.
        threads: See `run_cell`.
        tasks: See `run_cell`.
    """

    def __init__(self, cell: Cell, command: str, threads: int, tasks: "Tasks | None") -> None:
        self.cell = cell
        self.config = cell.resolved.config
        self.command = command
        self.tasks = tasks
        before = cell.status()
        trainer = self.config.trainer
        # Tasks of srun have cores of their own; ranks that the cell starts share what it has.
        own = threads_allowed() if tasks else max(1, min(threads_allowed(), cpus() // trainer.devices))
        self.data_before = before.get("data")
        self.threads = before.get("threads") or trainer.threads or threads or own
        self.started: dict[str, Any] = {
            "attempt": before.get("attempt", 0) + 1,
            "first_started": before.get("first_started") or time.time(),
            "started": time.time(),
            "threads": self.threads,
        }

    def run(self, lock: Lock, report: Report, mirror: "Mirror") -> str:
        """Trains, records, and returns the state in which the cell is left."""
        from exp.callbacks.checkpoint import Interrupted, LockLost
        from exp.run.ddp import RankEnded
        from exp.tasks.base import Diverged

        note_code(afresh=True)
        moved = self.cell.moved() if self.cell.has_checkpoint() else []
        try:
            if moved:
                raise ConfigError(
                    f"{', '.join(moved)}: had another default when this cell was stopped; sweep.force=failed runs it"
                    " from the start"
                )
            self.cell.write_config()
            self._write_running({})
            fingerprint = self._check_data()
            measured = self._train(lock, report, mirror)
            self._record(measured, fingerprint)
            return "done"
        except Interrupted as stopped:
            self.cell.write_status("waiting", **self.started, note=str(stopped))
            return "waiting"
        except LockLost:
            return "running"
        except KeyboardInterrupt:
            note = "interrupted at once, nothing saved since the last checkpoint"
            self.cell.write_status("waiting", **self.started, note=note)
            return "waiting"
        except RankEnded as error:
            return self._fail("failed", str(error), traceback.format_exc())
        except Diverged as error:
            return self._fail("diverged", str(error), traceback.format_exc())
        except Exception as error:
            return self._fail("failed", brief(error), traceback.format_exc())

    def _check_data(self) -> str:
        """Returns the data's fingerprint, which an unfinished cell keeps to its end."""
        fingerprint: str = self.config.data.reader().check()
        if other_data(self.data_before, fingerprint) and self.cell.has_checkpoint():
            raise DataError("the data changed after this cell was stopped; sweep.force=failed runs it from the start")
        self.started["data"] = fingerprint
        return fingerprint

    def _train(self, lock: Lock, report: Report, mirror: "Mirror") -> dict[str, Any]:
        from exp.run import train
        from exp.run.ddp import ALONE, Followers

        devices, rank = self.config.trainer.devices, ALONE
        followers: Followers | Tasks | None = None
        if devices > 1:
            calls = self.tasks
            if calls is None and (changed := edited()):
                raise ConfigError(
                    f"{', '.join(changed)}: edited since this process loaded it, and further ranks would run the new"
                    " code; start the sweep again"
                )
            followers = (
                calls.call(self.threads, self.cell.key, self._died)
                if calls
                else Followers(self.cell.path, devices, self._died)
            )
            rank = followers.lead

        def tell(progress: dict[str, Any]) -> None:
            self._write_running({key: value for key, value in progress.items() if key != "epoch_done"})
            report(progress)

        try:
            measured = train.run(
                self.config,
                self.cell.path,
                rank=rank,
                threads=self.threads,
                held=lock.held,
                report=tell,
                views=mirror.callbacks,
            )
            if followers:
                followers.join()
            return measured
        except train.Interrupted:
            if followers:
                followers.join(10)
            raise
        except RuntimeError:
            if isinstance(followers, Followers):
                followers.refuse_ended()
            raise
        finally:
            if followers:
                followers.kill()

    def _record(self, measured: dict[str, Any], fingerprint: str) -> None:
        """Writes the result, which makes the cell done."""
        cell, config = self.cell, self.config
        for name in ("last", "best"):
            if name not in config.cells.keep:
                (cell.path / f"{name}.ckpt").unlink(missing_ok=True)
        (cell.path / FORMER).unlink(missing_ok=True)
        (cell.path / "error.txt").unlink(missing_ok=True)
        cell.write_result(
            {
                "task": cell.resolved.task,
                "seed": config.seed,
                "recipe": config.recipe,
                **cell.resolved.plain(),
                **measured,
                "attempts": self.started["attempt"],
                "disk_bytes": cell.disk_bytes(),
                "data_fingerprint": fingerprint,
                **provenance(self.command),
            }
        )
        cell.write_status("done", **self.started)

    def _write_running(self, progress: dict[str, Any]) -> None:
        self.cell.write_status("running", **self.started, host=os.uname().nodename, pid=os.getpid(), **progress)

    def _fail(self, state: str, error: str, trace: str) -> str:
        """Records a failure, as far as there is room to: a full disk is one."""
        try:
            (self.cell.path / "error.txt").write_text(trace)
            self.cell.write_status(state, **self.started, error=error)
        except OSError as problem:
            print(f"{trace}{self.cell.path}: this could not be recorded: {problem}", file=sys.stderr)
        return state

    def _died(self, message: str) -> None:
        """Records the death of another rank; this process is ended after it."""
        self._fail("failed", message, message + "\n")

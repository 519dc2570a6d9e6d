"""What a person sees while one cell trains in the foreground: a line an epoch, the scores, what to type next."""

import math
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from exp.cells.cell import Cell
from exp.cells.machine import cpus, gpus
from exp.cells.terminal import disk, pasted, places, shown
from exp.cells.unsent import unsent
from exp.options.study import as_typed
from exp.options.words import spelt

WITHOUT = ("ckpt", "init", "max_epochs", "max_steps", "max_time")
"""Options, by their short names, that a test of the cell's weights is typed without; those of a sweep go too."""


class Console:
    """Prints a cell's progress.

    Args:
        cell: The cell.
        command: What the user typed.
    """

    def __init__(self, cell: Cell, command: str) -> None:
        self.cell = cell
        self.command = command
        self._changed: Sequence[str] = ()
        self._inline = sys.stdout.isatty()

    def begin(self, anew: bool, changed: Sequence[str] = ()) -> None:
        """Says which cell this is and whether there is anything to do.

        Args:
            anew: Whether a result that there is will be made again.
            changed: What has changed since that result was made.
        """
        self._changed = () if anew else changed
        if self._changed:
            what = f"{', '.join(changed[:6])}{' ...' if len(changed) > 6 else ''}"
            print(f"{self._path()} is done but stale: changed since it ran: {what}; not run again", end=" ")
            print("(sweep.force=stale runs it anew)")
            return
        if self.cell.result() is not None and not anew:
            print(f"{self._path()} is done; not run again (sweep.force=done runs it anew)")
            return
        going_on = not anew and self.cell.has_checkpoint()
        status = self.cell.status()
        before = not anew and not going_on and status["state"] == "waiting" and status.get("attempt")
        lost = ", from its beginning: it was stopped before anything was saved" if before else ""
        print(f"{'going on with' if going_on else 'running'} {self._path()}{lost}", flush=True)
        if self.cell.resolved.narrowed:
            print(f"{self.cell.resolved.narrowed} by recipe={self.cell.resolved.config.recipe}", flush=True)
        devices, cores = self.cell.resolved.config.trainer.devices, cpus()
        if devices > cores and not gpus():
            print(f"trainer.devices={devices} on {cores} core{'s' * (cores > 1)}: they take turns", flush=True)

    def progress(self, state: dict[str, Any]) -> None:
        """A line for each epoch; on a terminal the batch in between."""
        head = f"epoch {state['epoch']}/{state['max_epochs']}"
        if state["epoch_done"]:
            scores = "  ".join(f"{name} {value:.4g}" for name, value in state["metrics"].items())
            print(f"{self._erase()}{head}  {scores}", flush=True)
        elif self._inline:
            now = state["evaluating"] or f"batch {state['batch']}/{state['batches']}"
            print(f"{self._erase()}{head}  {now}", end="", flush=True)

    def end(self, state: str) -> None:
        """The scores, where they lie, and what to type next."""
        print(self._erase(), end="", flush=True)
        result = self.cell.result()
        if result is not None:
            task = self.cell.resolved.config.task
            headline = task.shown(result["test"])
            # JSON has no nan: what could not be measured comes back as None.
            scores = "  ".join(f"{name} {math.nan if value is None else value:.4g}" for name, value in headline.items())
            label = " (epoch chosen on the test part)" if task.select == "test" else ""
            label += " (of the validation part; the module tests nothing)" if "tested_on" in result else ""
            label += " (on the data as they were then)" if "data" in self._changed else ""
            print(f"test{label}  {scores}")
            macs = f"{result['macs']:,} MACs, " if "macs" in result else ""
            print(f"{result['params']:,} parameters, {macs}{result['train_seconds']:.1f} s training")
            print(f"results in {self._path()} ({disk(self.cell.path)} on disk)")
            best = self.cell.path / "best.ckpt"
            if best.exists():
                tested = [*self._overrides(), f"ckpt={spelt(str(best))}", "trainer.max_epochs=0"]
                print(f"Next: {pasted('exp', *tested)}")
            if line := unsent([self.cell.path]):
                print(line)
            return
        status = self.cell.status()
        if state == "failed" and not self.cell.path.exists():
            print(f"failed: {self._path()} was removed while the cell ran", file=sys.stderr)
        elif state in ("failed", "diverged"):
            print(f"{state}: {status.get('error')}", file=sys.stderr)
            print(f"traceback in {self._path()}/error.txt", file=sys.stderr)
        elif state == "running":
            print(f"another process works on this cell, on {status.get('host')} (pid {status.get('pid')})")
        else:
            print(f"interrupted; everything is saved. To go on: {self.command}")

    def _overrides(self) -> list[str]:
        names = {word: word.lstrip("+").partition("=")[0] for word in self.cell.resolved.overrides}
        kept = [
            word
            for word, name in names.items()
            if not name.startswith(("sweep.", "origin.code")) and name.rpartition(".")[2] not in WITHOUT
        ]
        return [*places(shlex.split(self.command)), *map(as_typed, kept)]

    def _erase(self) -> str:
        return "\r\x1b[K" if self._inline else ""

    def _path(self) -> str:
        return shown(self.cell.path)

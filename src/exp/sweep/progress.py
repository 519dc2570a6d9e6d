"""What a person sees while a sweep runs: counts, one line a running cell, time left. Starts no thread."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from exp.cells.terminal import duration, one_or_more
from exp.sweep.pane import Pane
from exp.sweep.plan import Planned

EVERY = 60.0
"""Seconds from one line about what runs to the next, where there is no terminal."""
STYLES = {"done": "green", "running": "cyan", "failed": "red", "diverged": "magenta", "waiting": "dim"}


class Progress:
    """A live view on a terminal and in a notebook; elsewhere a line an event, and one a minute about what runs.

    Args:
        cells: The cells that will run.
        names: What to call each, by key.
        finished: How many of the sweep's cells were done before.
    """

    def __init__(self, cells: Sequence[Planned], names: dict[str, str], finished: int, console: Console) -> None:
        self._cells = {planned.resolved.key: planned for planned in cells}
        self._names = names
        self._finished = finished
        self._console = console
        self._started = self._told = time.monotonic()
        self._states: dict[str, str] = dict.fromkeys(self._cells, "waiting")
        self._progress: dict[str, float] = {}
        self._first: tuple[float, float] | None = None
        notebook = console.is_jupyter
        on_terminal = console.is_terminal and not notebook
        self._live = Live(console=console, auto_refresh=False, transient=True) if on_terminal else None
        self._pane = Pane() if notebook else None

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        elif not self._pane:
            self._console.print(f"{one_or_more(len(self._cells), 'cell')} to run, {self._finished} done before")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()
        if self._pane:
            self.update(set())
            self._pane.draw(self._head(), last=True)

    def update(self, running: set[str]) -> None:
        """Looks at the cells' status files and draws."""
        statuses = {}
        for key, planned in self._cells.items():
            if key in running:
                statuses[key] = planned.cell.status()
                self._become(key, "running", statuses[key])
                self._progress[key] = fraction(statuses[key])
            elif self._states[key] == "running":
                status = planned.cell.status()
                self._become(key, status["state"], status)
                self._progress[key] = 1.0 if status["state"] in ("done", "failed", "diverged") else 0.0
        if self._live:
            self._live.update(self._drawn(statuses), refresh=True)
        if self._pane:
            self._pane.draw(self._drawn(statuses))
        if not self._live and not self._pane and time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            cells = [
                f"{self._names[key]} {epochs(status)}  {doing(status)}".rstrip() for key, status in statuses.items()
            ]
            self._console.print("; ".join([self._head().plain, *cells]), highlight=False, markup=False)

    def _become(self, key: str, state: str, status: dict[str, Any]) -> None:
        if self._states[key] == state:
            return
        self._states[key] = state
        if not self._live and not self._pane:
            failed = state in ("failed", "diverged")
            more = f": {status.get('error')}" if failed else f"  {metrics(status)}" if state == "done" else ""
            self._console.print(f"{state:9} {self._names[key]}{more}", highlight=False, markup=False)

    def _head(self) -> Text:
        counts = {state: list(self._states.values()).count(state) for state in STYLES}
        counts["done"] += self._finished
        head = Text("  ").join(Text(f"{n} {state}", style=STYLES[state]) for state, n in counts.items() if n)
        return head.append(f"   {duration(time.monotonic() - self._started)}{self._left()}", style="dim")

    def _drawn(self, statuses: dict[str, dict[str, Any]]) -> Group:
        grid = Table.grid(padding=(0, 2))
        for key, status in statuses.items():
            bar = ProgressBar(total=1.0, completed=self._progress[key], width=24)
            grid.add_row(self._names[key], epochs(status), bar, Text(doing(status), style="dim"))
        return Group(self._head(), grid)

    def _left(self) -> str:
        """Returns how long the rest takes by the pace since the first look at which there was progress."""
        now, done = time.monotonic(), sum(self._progress.values())
        if not done:
            return ""
        self._first = self._first or (now, done)
        elapsed, more = now - self._first[0], done - self._first[1]
        if not says_how_long(more, elapsed):
            return ""
        return f", about {duration(elapsed * (len(self._cells) - done) / more)} left"


def fraction(status: dict[str, Any]) -> float:
    """How much of a cell is trained, from 0 to 1."""
    if not status.get("max_epochs"):
        return 0.0
    inside = status.get("batch", 0) / max(1, status.get("batches", 1))
    return min(1.0, (status.get("epoch", 0) + inside) / status["max_epochs"])


def says_how_long(done: float, seconds: float) -> bool:
    """Whether a share that was done in some seconds says how long the rest takes."""
    return done > 0.02 or (done > 0 and seconds > 60)


def epochs(status: dict[str, Any]) -> str:
    """How many epochs a cell has trained, of how many."""
    return f"epoch {status.get('epoch', 0)}/{status['max_epochs']}" if "max_epochs" in status else "starting"


def doing(status: dict[str, Any]) -> str:
    """What a cell does where it does not train, else its last metrics."""
    return status.get("evaluating") or metrics(status)


def metrics(status: dict[str, Any]) -> str:
    """The last metrics of a status in a line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in status.get("metrics", {}).items() if value is not None)

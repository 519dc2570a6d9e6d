"""Cells of a sweep on their way to an outcome: those that wait, those that run here, those that run elsewhere."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exp.sweep.plan import Planned
from exp.sweep.pulse import Pulse

AT_ONCE = 64
"""Cells of other processes that one look reads, in turn: all of many on a slow network disk would take a while."""


@dataclass
class Outcome:
    """What became of a cell: its state, and for a failure one line."""

    state: str
    error: str = ""


@dataclass
class Running:
    """A cell that runs.

    Attributes:
        planned: The cell.
        tries: How often it is tried again if it fails.
        wanted: How many slots it has.
        devices: Names of the GPUs it has.
        pulse: When it last gave a sign of life.
        hung: Seconds without one after which it was ended; 0 where it was not.
    """

    planned: Planned
    tries: int
    wanted: int
    devices: list[str]
    pulse: Pulse
    hung: float = 0.0


class Queue:
    """Cells on their way to an outcome.

    Args:
        cells: The cells in order.
        retry: How often a failed one is tried again.

    Attributes:
        waiting: Cells to start, with how often each is tried again.
        running: Cells that run here, by key.
        elsewhere: Cells that run in another process.
        outcomes: What became of the cells, by key.
    """

    def __init__(self, cells: Sequence[Planned], retry: int) -> None:
        self.waiting = deque((planned, retry) for planned in cells if planned.state != "running" or planned.todo)
        self.running: dict[str, Running] = {}
        self.elsewhere = deque((planned, retry) for planned in cells if planned.state == "running" and not planned.todo)
        self.outcomes = {planned.resolved.key: Outcome("waiting") for planned in cells}
        self.outcomes |= {planned.resolved.key: Outcome("running") for planned, _ in self.elsewhere}
        self._told = False

    def look_elsewhere(self, tell: Callable[[str], None]) -> None:
        """Looks what became of cells that ran in other processes, 64 at a time; one that was stopped there runs here.

        Args:
            tell: Takes the line that says what is waited for, once nothing runs here.
        """
        for _ in range(min(AT_ONCE, len(self.elsewhere))):
            planned, tries = self.elsewhere.popleft()
            status = planned.cell.status()
            if status["state"] == "running":
                self.elsewhere.append((planned, tries))
            elif status["state"] == "waiting":
                self.waiting.append((planned, tries))
            else:
                self.outcomes[planned.resolved.key] = Outcome(status["state"], status.get("error", ""))
            if status["state"] == "done":
                del self.outcomes[planned.resolved.key]
        count = len(self.elsewhere)
        if count and not self.running and not self.waiting and not self._told:
            self._told = True
            what = "cell runs" if count == 1 else "cells run"
            tell(f"{count} {what} in another process and will be waited for; Ctrl-C leaves them to it")

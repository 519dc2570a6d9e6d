"""The time that a sweep will still take, from the costs of its cells that are done."""

import re
import statistics

from exp.sweep.estimate import Costs, makespan
from exp.watch.cell_state import CellState
from exp.watch.folder import Folder


class Remaining:
    """Judges how long cells will take by those that are done.

    Args:
        folder: The cells.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._costs = Costs()
        self._rows: dict[str, list[float]] = {}
        self._counted: set[str] = set()

    def of_cell(self, cell: CellState) -> float | None:
        """Returns the seconds that a running cell has left: by its own pace, before that by cells like it."""
        own = cell.seconds_left
        whole = self._usual(cell) if own is None else None
        return whole * (1 - cell.progress) if whole is not None else own

    def of_sweep(self) -> float | None:
        """Returns the seconds until the sweep's cells are over; None where nothing runs or nothing is known yet.

        A cell that waits and has no like among those that are done is taken to last as long as the others do.
        """
        sweep, scope = self._folder.sweep, self._folder.scope
        running = [cell for cell in scope if cell.state == "running"]
        if sweep is None and not running:
            return None
        self._count(scope)
        left = [self.of_cell(cell) for cell in running]
        waiting = [self._usual(cell) for cell in scope if cell.state == "waiting"] if sweep is not None else []
        whole = [
            seconds / (1 - cell.progress)
            for cell, seconds in zip(running, left, strict=True)
            if seconds is not None and cell.progress < 1
        ]
        known = [*(seconds for row in self._rows.values() for seconds in row), *whole]
        if not known:
            return None
        mean = statistics.fmean(known)
        slots = sweep.slots if sweep is not None and sweep.slots else max(1, len(running))
        return makespan([mean if s is None else s for s in left], [mean if s is None else s for s in waiting], slots)

    def _count(self, scope: list[CellState]) -> None:
        """Adds the cells that have been done since."""
        for cell in scope:
            seconds = cell.wall_seconds or cell.result.get("train_seconds")
            if cell.state == "done" and seconds and cell.id not in self._counted:
                self._counted.add(cell.id)
                self._costs.add(cell.identity, cell.config, seconds, cell.result.get("disk_bytes") or 0)
                self._rows.setdefault(row_of(cell), []).append(seconds)

    def _usual(self, cell: CellState) -> float | None:
        """Returns what a cell takes by those of its row, before it has options on disk, else by those like it."""
        row = self._rows.get(row_of(cell))
        if row:
            return statistics.median(row)
        cost = self._costs.of(cell.identity, cell.config) if cell.config else None
        return cost.seconds if cost else None


def row_of(cell: CellState) -> str:
    """Returns the cell's name without its seed."""
    return re.sub(r"[ -]s\d+$", "", cell.name)

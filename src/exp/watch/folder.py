"""All cells below a folder, looked at again and again without weight: only reads, and stats what cannot have changed
less and less often.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.cells.files import read_json
from exp.cells.lock import lives_here
from exp.sweep.record import FOLDER
from exp.watch.cell_state import ENDED, CellState

STATES = ("running", "failed", "diverged", "waiting", "done", "reading")
"""States in the order in which people look for them."""

COLD_A_LOOK = 400
"""Cells at rest that are looked at again in one look; all of them come round in turn."""

NO_TASKS = ("tables", "figures")
"""Folders beside those of the tasks, which tables write."""

RELIST_SECONDS = 20.0
"""A folder whose time has not moved is listed again after this, for file systems that are late to say so."""


@dataclass
class WatchedSweep:
    """A sweep by its record.

    Attributes:
        cells: Its cells by id, with their names.
        slots: How many run at a time, None where that is not known.
        holder: Process and host of its front.
    """

    command: str
    began: float
    slots: int | None
    state: str
    cells: dict[str, str]
    holder: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool | None:
        """Whether its front still runs; None where that cannot be known from here."""
        return False if self.state != "running" else lives_here(self.holder)


class Folder:
    """The cells below a folder, or some of them.

    Args:
        root: Folder of all cells, which need not exist yet.
        only: The cells to look at by id, with their names, also those not begun; None looks at all there are.

    Attributes:
        cells: The cells by id.
        sweep: The newest sweep that is not over, else None.
    """

    def __init__(self, root: Path, only: Mapping[str, str] | None = None) -> None:
        self.root = root.absolute()
        self.only = only
        self.cells: dict[str, CellState] = {}
        self.sweep: WatchedSweep | None = None
        self.version = 0
        self._sweeps: dict[str, WatchedSweep] = {}
        self._listed: dict[Path, tuple[int, float]] = {}
        self._names: dict[str, str] = dict(only or {})
        self._shared: set[str] = set()
        self._slugs: Counter[str] = Counter()
        self._fresh: deque[str] = deque()
        self._cold: deque[str] = deque()
        for name in self._names:
            self._add(name)

    def look(self, seconds: float = float("inf")) -> set[str]:
        """Looks at what may have changed.

        Args:
            seconds: After this long no further cell is read for the first time; the next look goes on.

        Returns:
            Ids of the cells that have changed, come or gone.
        """
        until = time.monotonic() + seconds
        changed = self._look_at_sweeps()
        if self.only is None:
            changed |= self._list()
        hot = [cell for cell in self.cells.values() if self._is_hot(cell)]
        changed |= {cell.id for cell in hot if cell.look()}
        while self._fresh and time.monotonic() < until:
            changed |= self._look_at(self._fresh.popleft())
        for _ in range(min(COLD_A_LOOK, len(self._cold))):
            name = self._cold.popleft()
            if name in self.cells:
                changed |= self._look_at(name)
                self._cold.append(name)
        if changed:
            self.version += 1
            if self._slugs.total() != len(self.cells) or changed - self.cells.keys():
                self._call_cells()
        for name in changed & self.cells.keys():
            self.cells[name].version = self.version
        return changed

    @property
    def reading(self) -> int:
        """Cells that have not been looked at yet."""
        return len(self._fresh)

    @property
    def counts(self) -> dict[str, int]:
        """Cells of each state, those of the running sweep alone while there is one."""
        counted = Counter(cell.state for cell in self.scope)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def scope(self) -> list[CellState]:
        """The cells that counts and time left are about: the running sweep's, else all."""
        if self.sweep is not None and self.only is None:
            return [self.cells[name] for name in self.sweep.cells if name in self.cells]
        return list(self.cells.values())

    def best(self) -> CellState | None:
        """The cell with the best monitored metric; None where there is none, or they have several."""
        known = [cell for cell in self.scope if cell.value is not None]
        if len({(cell.path.parent.name, cell.monitor) for cell in known}) != 1:
            return None
        sign = 1 if known[0].monitor[1] == "max" else -1
        return max(known, key=lambda cell: sign * (cell.value or 0.0))

    def _is_hot(self, cell: CellState) -> bool:
        if cell.state == "running":
            return True
        in_sweep = self.sweep is not None and cell.id in self.sweep.cells
        return in_sweep and cell.state not in ("done", "reading") and self._begun(cell)

    def _begun(self, cell: CellState) -> bool:
        """Whether there is a directory to look at; one that appears is found by listing its folder."""
        return self.only is not None or cell.path.is_dir()

    def _look_at(self, name: str) -> set[str]:
        cell = self.cells.get(name)
        return {name} if cell is not None and cell.look() else set()

    def _add(self, name: str) -> None:
        if name not in self.cells:
            self.cells[name] = CellState(self.root / name, self._called(name))
            self._fresh.append(name)
            self._cold.append(name)

    def _list(self) -> set[str]:
        """Lists the folders of tasks that have changed; adds and removes cells."""
        changed: set[str] = set()
        for folder in _folders(self.root):
            if folder.name in NO_TASKS:
                continue
            try:
                moved = os.stat(folder).st_mtime_ns
            except OSError:
                continue
            known, listed = self._listed.get(folder, (-1, 0.0))
            if moved == known and time.monotonic() - listed < RELIST_SECONDS:
                continue
            settled = time.time() - moved / 1e9 > 0.1
            self._listed[folder] = (moved if settled else -1, time.monotonic())
            there = {f"{folder.name}/{entry.name}" for entry in _folders(folder) if "-" in entry.name}
            wanted = there | {name for name in self._awaited() if name.startswith(f"{folder.name}/")}
            for name in wanted - self.cells.keys():
                self._add(name)
                changed.add(name)
            gone = {name for name in self.cells if name.startswith(f"{folder.name}/")} - wanted
            for name in gone:
                del self.cells[name]
            changed |= gone
        return changed

    def _awaited(self) -> set[str]:
        return set(self.sweep.cells) if self.sweep is not None else set()

    def _look_at_sweeps(self) -> set[str]:
        """Reads records of sweeps that are new or not over; names cells as their sweeps do."""
        records = self.root / FOLDER
        try:
            files = sorted(entry.name for entry in os.scandir(records) if entry.name.endswith(".json"))
        except OSError:
            files = []
        for name in files:
            if name not in self._sweeps or self._sweeps[name].state == "running":
                sweep = _sweep(records / name)
                if sweep is not None:
                    self._rename(sweep if name not in self._sweeps else None)
                    self._sweeps[name] = sweep
        before = self.sweep
        known = [self._sweeps[name] for name in files if name in self._sweeps]
        unfinished = [sweep for sweep in known if self._goes_on(sweep)]
        self.sweep = unfinished[-1] if unfinished else None
        changed: set[str] = set()
        if self.only is None and self.sweep is not None:
            for name in self.sweep.cells:
                if name not in self.cells:
                    self._add(name)
                    changed.add(name)
        if (before is None) != (self.sweep is None):
            self.version += 1
            self._listed = {}
        return changed

    def _goes_on(self, sweep: WatchedSweep) -> bool:
        """Whether a sweep is not over; one on another machine goes on as long as a cell of it runs."""
        alive = sweep.alive
        if alive is not None:
            return alive
        young = time.time() - sweep.began < 60
        return young or any(self.cells[name].state == "running" for name in sweep.cells if name in self.cells)

    def _rename(self, sweep: WatchedSweep | None) -> None:
        if sweep is None or self.only is not None:
            return
        self._names |= sweep.cells
        self._shared = {words for words, cells in Counter(self._names.values()).items() if cells > 1}
        self._call_cells()

    def _call_cells(self) -> None:
        """Names all cells, of which each may be why another needs more words."""
        self._slugs = Counter(map(_slug, self.cells))
        for name, cell in self.cells.items():
            cell.name = self._called(name)

    def _called(self, name: str) -> str:
        """Returns a cell's name in its sweep; where another sweep has it too, its directory's, short if it is alone."""
        words = self._names.get(name)
        if words and words not in self._shared:
            return words
        return name.rpartition("/")[2] if self._slugs[_slug(name)] > 1 else _slug(name)

    def ended(self) -> int:
        """Cells of the scope that have ended, however."""
        return sum(cell.state in ENDED for cell in self.scope)


def _slug(name: str) -> str:
    """Returns the name of a cell's directory without the hash at its end."""
    directory = name.rpartition("/")[2]
    return directory.rpartition("-")[0] or directory


def _folders(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_dir()]
    except OSError:
        return []


def _sweep(path: Path) -> WatchedSweep | None:
    """Reads a record; one that is not what a sweep writes is none."""
    record = read_json(path) or {}
    listed = record.get("cells")
    if not isinstance(listed, list) or not isinstance(record.get("began"), (int, float)):
        return None
    cells = {
        entry["cell"]: str(entry.get("name") or entry["cell"])
        for entry in listed
        if isinstance(entry, dict) and _is_id(entry.get("cell"))
    }
    slots = record.get("slots")
    return WatchedSweep(
        str(record.get("command", "")),
        float(record["began"]),
        slots if isinstance(slots, int) and slots > 0 else None,
        str(record.get("state")),
        cells,
        record,
    )


def _is_id(name: Any) -> bool:
    """Whether a cell's id names a directory two levels below the root, and nothing else."""
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return len(parts) == 2 and all(part and part[0] != "." for part in parts)

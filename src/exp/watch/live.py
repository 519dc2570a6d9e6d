"""What the live pages are served from: one thread that looks at the cells, and tables that follow their results."""

import threading
import time
from pathlib import Path
from typing import Any

from exp.cells.files import TABLES
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.tables import choices
from exp.tables.compare import compare
from exp.tables.plan import Planner
from exp.watch import payload
from exp.watch.folder import Folder
from exp.watch.remaining import Remaining
from exp.watch.terminal import Pace

IDLE_SECONDS = 10.0
"""Without a page for so long, nothing is looked at."""
LONGEST_PAUSE = 3.0
TABLE_SECONDS = 4.0
"""A table is compared anew at most this often."""
LOOK_SECONDS = 0.25


class Live(threading.Thread):
    """Looks at a folder of cells as long as pages are open, for all of them at once.

    Args:
        folder: The cells.
        title: What is watched.
        tables: How tables are compared; None where there are none.
    """

    def __init__(self, folder: Folder, title: str, tables: "Tables | None" = None) -> None:
        super().__init__(name="looking", daemon=True)
        self.title = title
        self.tables = tables
        self.stopped = False
        self._folder = folder
        self._remaining = Remaining(folder)
        self._changed = threading.Condition()
        self._wanted = 0.0
        self._looks = 0
        self._gone: list[tuple[int, str]] = []

    def run(self) -> None:
        """Looks until it is stopped."""
        pace = Pace(LONGEST_PAUSE)
        while not self.stopped:
            with self._changed:
                if time.monotonic() - self._wanted > IDLE_SECONDS:
                    self._changed.wait(1.0)
                    continue
                before = set(self._folder.cells)
                self._folder.look(LOOK_SECONDS)
                self._gone += [(self._folder.version, name) for name in before - self._folder.cells.keys()]
                self._looks += 1
                self._changed.notify_all()
            time.sleep(0.01 if self._folder.reading else pace.pause())

    def stop(self) -> None:
        """Ends the thread and everybody who waits for it."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def news(self, version: int, looks: int, seconds: float) -> tuple[int, int, dict[str, Any]]:
        """Waits for the next look and returns what has changed since.

        Args:
            version: What the page knows; -1 for nothing.
            looks: The looks it knows of.
            seconds: How long to wait at most.

        Returns:
            The version and looks of the answer, and the answer.
        """
        with self._changed:
            self._wanted = time.monotonic()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._looks > looks or self.stopped, timeout=seconds)
            self._wanted = time.monotonic()
            folder = self._folder
            changed = [cell for cell in folder.cells.values() if cell.version > version]
            answer = {
                "all": version < 0,
                "title": self.title,
                "root": str(folder.root),
                "head": payload.summary(folder, self._remaining),
                "cells": [payload.listed(cell, self._remaining) for cell in changed],
                "gone": [name for at, name in self._gone if at > version and name not in folder.cells],
                "tables": self.tables.known() if self.tables is not None else [],
            }
            return folder.version, self._looks, answer

    def cell(self, name: str) -> dict[str, Any] | None:
        """Returns the page of a cell; None where no cell has this id."""
        with self._changed:
            cell = self._folder.cells.get(name)
            return None if cell is None else payload.opened(cell, self._remaining)

    def picture(self, name: str, picture: str) -> Path | None:
        """Returns the file of a cell's picture; None unless the cell lists a picture of this name."""
        with self._changed:
            cell = self._folder.cells.get(name)
        if cell is None or picture not in payload.pictures(cell.path):
            return None
        return cell.path / picture

    def bands(self, metric: str) -> dict[str, Any]:
        """Returns a metric's curves by row."""
        with self._changed:
            return payload.bands(self._folder.scope, metric)

    def table(self, name: str, variant: str) -> dict[str, Any] | None:
        """Returns a table's page; None where no such table is known."""
        with self._changed:
            version = self._folder.version
        return self.tables.page(name, variant, version) if self.tables is not None else None


class Tables:
    """Tables that have been run, compared again when cells have changed; never written, never run.

    Args:
        root: Folder of all cells.
        compose: Composes overrides.
        chosen: One table with its overrides; None takes all that were run.
    """

    def __init__(self, root: Path, compose: Composition, chosen: tuple[str, list[str]] | None = None) -> None:
        self._planner = Planner(root, compose=compose)
        self._root = root
        self._chosen = chosen
        self._pages: dict[tuple[str, str], tuple[int, float, dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._moved = -1.0
        self._runs: dict[tuple[str, str], list[str]] = {}
        if chosen is not None:
            self._runs[chosen[0], " ".join(chosen[1])] = chosen[1]

    def known(self) -> list[dict[str, str]]:
        """Returns name and variant of each table that can be asked for."""
        if self._chosen is None:
            try:
                moved = (self._root / TABLES).stat().st_mtime
            except OSError:
                moved = -1.0
            if moved != self._moved:
                names = choices.remembered(self._root)
                runs = [(name, variant) for name in names for variant in choices.variants(self._root, name)]
                self._moved, self._runs = moved, {(name, " ".join(variant)): variant for name, variant in runs}
        return [{"name": name, "variant": variant} for name, variant in self._runs]

    def page(self, name: str, variant: str, version: int) -> dict[str, Any] | None:
        """Returns a table's page as it is now, or was seconds ago.

        Args:
            name: The table.
            variant: The overrides it was run with.
            version: Of the cells; the page is made anew when it has moved.
        """
        if {"name": name, "variant": variant} not in self.known():
            return None
        with self._lock:
            at, made, page = self._pages.get((name, variant), (-1, 0.0, {}))
            if at == version or (time.monotonic() - made < TABLE_SECONDS and page):
                return page
            overrides = self._runs[name, variant]
            try:
                page = payload.table(compare(self._planner.plan(name, [f"cells.dir={self._root}", *overrides])))
            except ConfigError as error:
                page = {"name": name, "title": "", "problem": str(error)}
            self._pages[name, variant] = (version, time.monotonic(), page)
            return page

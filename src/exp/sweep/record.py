"""What a sweep leaves for those who watch it: which cells it is to run, also those that have not begun, and its end.

Each sweep is one file, ``<root>/.sweeps/<start>-<pid>.json``, written whole when it starts and when it ends. Nothing
reads it to decide what runs; without it a watcher sees the cells that exist.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exp.cells.files import write_json
from exp.cells.lock import started, this_host
from exp.sweep.plan import Planned

FOLDER = ".sweeps"
KEPT = 20
"""Records that stay; older ones are removed when a sweep starts."""


class SweepRecord:
    """The record of one sweep; a context manager around it, which marks its end.

    Args:
        root: Folder of all cells.
        cells: All cells of the sweep, in order.
        names: What to call each, by key.
        command: What the user typed.
        slots: How many cells run at a time, None where another launcher decides.
    """

    def __init__(
        self, root: Path, cells: Iterable[Planned], names: Mapping[str, str], command: str, slots: int | None
    ) -> None:
        self._path = root / FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json"
        pid = os.getpid()
        self._record: dict[str, Any] = {
            "command": command,
            "host": this_host(),
            "pid": pid,
            "started": started(pid),
            "began": time.time(),
            "slots": slots,
            "state": "running",
            "cells": [
                {"cell": f"{planned.cell.task}/{planned.cell.path.name}", "name": names[planned.cell.key]}
                for planned in cells
            ],
        }

    def __enter__(self) -> "SweepRecord":
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for old in sorted(self._path.parent.glob("*.json"))[: -KEPT + 1]:
                old.unlink(missing_ok=True)
        self._write(self._record)
        return self

    def __exit__(self, *exception: object) -> None:
        self._write(self._record | {"state": "ended", "ended": time.time()})

    def _write(self, record: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # on a full disk the cells' own errors are those to be read
            write_json(self._path, record)

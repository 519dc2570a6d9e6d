"""Small real sweeps that something is done to, and what they are compared with."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exp.cells.lock import holder_of
from tests.conftest import ENVIRONMENT, TINY, results

_TINY = [word for word in TINY if not word.startswith(("trainer.max_epochs", "batch_size"))]
_LESS = [
    "batch_size=64",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
]
CELLS = ["--multirun", *_TINY, *_LESS, "trainer.save_every=0.2", "sweep.jobs=2"]
SHORT = [*CELLS, "trainer.max_epochs=2", "att=none,se"]
LONG = [*CELLS, "trainer.max_epochs=25", "att=none,se"]

ROWS: list[str] = []
"""What the test that runs has counted; the process that collects the results prints it in the end."""


@dataclass
class Faults:
    """What was tried, and after which of them the sweep ended as if nothing had been.

    Attributes:
        what: What is counted.
        tried: Faults.
        lost: Cells that did not end with the weights of the undisturbed run.
        notes: What else is worth a number.
    """

    what: str
    tried: int = 0
    lost: int = 0
    notes: str = ""

    def show(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Prints the counts where whoever runs the tests sees them, and fails where something was lost."""
        row = f"{self.what}: tried {self.tried}, survived {self.tried - self.lost}, lost {self.lost} {self.notes}"
        ROWS.append(row.strip())
        with capsys.disabled():
            print(f"\n{ROWS[-1]}")
        assert self.tried
        assert not self.lost


class Sweep:
    """A sweep of the command line in a session of its own, its output in a file.

    Args:
        folder: Where it is started.
        words: What follows ``exp``.
        environment: Variables beside the tests' own.
        limit: Called in the new process before it begins.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        environment: dict[str, str] | None = None,
        limit: Callable[[], object] | None = None,
    ) -> None:
        self.folder = folder
        self._out = folder / "out.txt"
        with open(self._out, "w") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "exp", *words],
                cwd=folder,
                env=ENVIRONMENT | (environment or {}),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=limit,
            )
        self.pid = self._process.pid
        self._began = time.time_ns()

    def end(self) -> tuple[int, str]:
        """Waits for the end and returns exit code and output, which never has a traceback."""
        code = self._process.wait(300)
        text = self._out.read_text()
        assert "Traceback" not in text, text
        return code, text

    def until(self, condition: Callable[[], object]) -> None:
        """Waits for something to happen while the sweep runs."""
        deadline = time.monotonic() + 200
        while not condition():
            assert self._process.poll() is None, self._out.read_text()
            assert time.monotonic() < deadline, self._out.read_text()
            time.sleep(0.03)

    def saved(self) -> bool:
        """Whether every cell has saved a checkpoint since this sweep began."""
        kept = list(self.folder.glob("multirun/*/*/last.ckpt"))
        return len(kept) == 2 and all(path.stat().st_mtime_ns > self._began for path in kept)

    def server(self) -> int:
        """Returns the process of the warm server."""
        return next(pid for pid, line in processes() if f"exp.sweep.server {self.pid} " in line)

    def cell(self, name: str = "-se-") -> int:
        """Returns the process that works on a cell, 0 where none does."""
        holder = next((holder_of(path) for path in self.folder.glob(f"multirun/*/*{name}*/lock")), None)
        return int(holder["pid"]) if holder else 0

    def follower(self) -> int:
        """Returns the process of a cell's second rank."""
        return next(pid for pid, line in processes() if "exp.run.follow" in line and str(self.folder) in line)


def processes() -> Iterator[tuple[int, str]]:
    """Yields id and command line of the processes there are."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(entry.parent.name), entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def left_behind(folder: Path) -> list[str]:
    """Returns the processes that still work in a folder."""
    found = []
    for pid, line in processes():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(folder)):
                found.append(line)
    return found


def weights(folder: Path) -> dict[str, Any]:
    """Returns what cells ended with, by what was chosen."""
    return {run["slug"]: (run["weights_sha256"], run["samples_seen"], run["test"]) for run in results(folder)}


def whole(folder: Path) -> list[str]:
    """Returns the files of cells that are not whole JSON, and what was left beside them."""
    broken = []
    for path in folder.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            broken.append(str(path))
    return broken + [str(path) for path in folder.rglob(".*") if path.is_file() and path.parent.name != ".sweeps"]

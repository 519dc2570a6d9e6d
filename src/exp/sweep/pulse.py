"""Whether a cell still gives signs of life: a process that hangs keeps its lock, since it lives."""

import time
from pathlib import Path

LOOK_SECONDS = 1.0
"""The most that one look adds to a silence: after the machine was suspended, a cell has as long as before."""


class Pulse:
    """How long nothing has changed in a cell's folder.

    A cell that trains writes its status about twice a second. Its lock does not count: the heartbeat is a thread of its
    own, and goes on where the training hangs.

    Args:
        folder: The cell's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: frozenset[tuple[str, int, int]] = frozenset()
        self._looked = time.monotonic()
        self._silent = 0.0

    def silence(self) -> float:
        """Returns for how many seconds nothing has changed."""
        now, seen = time.monotonic(), self._signature()
        self._silent = 0.0 if seen != self._seen else self._silent + min(now - self._looked, LOOK_SECONDS)
        self._seen, self._looked = seen, now
        return self._silent

    def _signature(self) -> frozenset[tuple[str, int, int]]:
        signs = set()
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # replaced or removed meanwhile
            if not path.name.startswith(("lock", ".clock")):
                signs.add((path.name, stat.st_mtime_ns, stat.st_size))
        return frozenset(signs)

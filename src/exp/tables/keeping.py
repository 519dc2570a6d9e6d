"""What a command worked out, kept in the machine's cache until anything that it was made from changes."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from exp.cells.files import read_json, replace_whole
from exp.data.cache import cache_folder

KEPT = 20
"""Files of states used last that stay in a folder."""


class Kept:
    """A JSON file for each state; one that is missing, damaged or cannot be written is as none.

    Args:
        folder: Below the cache folder.
        state: Of all that decides what is kept, see ``state_of``.
    """

    def __init__(self, folder: str, state: str) -> None:
        self._path = cache_folder() / folder / f"{state}.json"

    def read(self) -> dict[str, Any]:
        """Returns what is kept, nothing where there is none."""
        with contextlib.suppress(OSError):
            os.utime(self._path)
        return read_json(self._path) or {}

    def write(self, value: dict[str, Any]) -> None:
        """Keeps a value, where the cache can be written, and removes what was not used for long."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replace_whole(self._path) as fresh:
                fresh.write_text(json.dumps(value))
            files = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in files[:-KEPT]:
                path.unlink()


def state_of(files: Iterable[str | Path], *words: str) -> str:
    """Changes whenever one of the files or words does; a file by its size and time, which are no part of a missing one.

    Args:
        files: Paths of files.
        words: What else decides.
    """
    digest = hashlib.sha256(json.dumps(words).encode())
    for path in sorted(map(str, files)):
        digest.update(path.encode(errors="surrogateescape"))
        with contextlib.suppress(OSError):
            stat = os.stat(path)
            digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def files_below(folder: str | Path, *endings: str) -> Iterator[str]:
    """Yields the files in a folder and all below it whose paths end in one of the endings, or the file itself."""
    if os.path.isfile(folder):
        yield str(folder)
    for place, _, names in os.walk(folder):
        yield from (path for name in names if (path := f"{place}/{name}").endswith(endings))

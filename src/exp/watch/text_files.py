"""The ends of a cell's log and error, and its pictures."""

import os
import re
from pathlib import Path

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
TAIL_BYTES = 32_000

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Terminal sequences and control letters, which a log could move the cursor or change the colours with."""


def tail(path: Path, lines: int = 200) -> str:
    """Returns the last lines of a text file as plain text; empty where there is none.

    A carriage return within a line leaves what was written over it, as a terminal would show it.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    if size > TAIL_BYTES:
        text = text.partition("\n")[2]
    text = text.rstrip("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return _CONTROL.sub("", "\n".join(shown[-lines:]))


def pictures(folder: Path) -> list[str]:
    """Returns the pictures that a task left in a cell, by their names below it, two folders deep at most."""
    names = [*_entries(folder)]
    names += [f"{name}/{inner}" for name in names for inner in _entries(folder / name)]
    return sorted(name for name in names if os.path.splitext(name)[1] in PICTURES)


def _entries(folder: Path) -> list[str]:
    """Returns names in a folder; a link is none of them, since it could lead anywhere."""
    try:
        return [entry.name for entry in os.scandir(folder) if not entry.is_symlink() and entry.name[0] != "."]
    except OSError:
        return []

"""Files that are written whole or not at all, also when the power goes: every writer of the project uses these."""

import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from exp.options.errors import ConfigError

TABLES = "tables.json"
"""What tables have chosen and how they were run, beside the cells of all tasks."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors by which a disk says that it has no room, which another place need not have either."""


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """Gives the name of a new file beside ``path`` and, once it has been written, puts it in the old one's place.

    The file's bytes reach the disk before its name does, and the name before this returns. When the body raises, the
    old file stays and nothing is left beside it.

    Args:
        path: Where the file belongs.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield fresh
        sync(fresh)
        os.replace(fresh, path)
        sync(path.parent)
    except OSError as error:
        if str(error.filename) == str(fresh):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # beside a file, or on a disk that is read-only, there is nothing to remove
            fresh.unlink()


@contextmanager
def writing(otherwise: str, what: str = "written") -> Iterator[None]:
    """Turns what the system says against writing a file that the user asked for into one line.

    A full disk keeps its own error, and so does whatever names no file.

    Args:
        otherwise: What to do about it, such as ``give another place with --out``.
        what: What cannot be done to the file.

    Raises:
        ConfigError: A file or folder cannot be written; the line names it and says why.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno in FULL:
            raise
        place, why = os.fsdecode(error.filename), error.strerror
        if isinstance(error, FileExistsError) and os.path.isfile(place):
            why = "it is a file"
        raise ConfigError(f"{place}: cannot be {what} ({why}); {otherwise}") from error


def refuse_unwritable(folder: Path, below: Path | None = None) -> None:
    """Refuses a folder of cells that nothing can be written into, before anything starts.

    Args:
        folder: Where cells are to lie; it need not exist yet.
        below: The folder in it, such as a task's or a cell's, that is to be written to; ``folder`` where not given.

    Raises:
        ConfigError: It, or the nearest folder above that exists, is a file, read-only or somebody else's.
    """
    place = below or folder
    there = next(path for path in (place, *place.parents) if path.exists())
    elsewhere = "give another folder with cells.dir="
    if not there.is_dir():
        raise ConfigError(f"cells.dir={folder}: {there} is a file; {elsewhere}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"cells.dir={folder}: {there} cannot be written to; {elsewhere}")
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".probe-", dir=there))
    except OSError as error:
        if error.errno in FULL:
            raise
        why = f"cannot be written to ({error.strerror})"
        raise ConfigError(f"cells.dir={folder}: {there} {why}; {elsewhere}") from error


def sync(path: Path) -> None:
    """Waits until a file's bytes, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all; numbers that are not finite become null, a list of numbers is a line."""
    text = json.dumps(finite(value), indent=2, allow_nan=False)
    with replace_whole(path) as fresh:
        fresh.write_text(_NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n")


_NUMBERS = re.compile(r"\[\s+(?:[\d.eE+-]+|null)(?:,\n\s+(?:[\d.eE+-]+|null))*\n\s*\]")
"""A list of numbers, one a line; no string of JSON holds a line's end."""


def read_json(path: str | Path) -> dict[str, Any] | None:
    """Returns a JSON file's mapping, None where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def finite(value: Any) -> Any:
    """Returns ``value`` with every number that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Fingerprints of data files by their contents, so that a result knows which data it was made from.

Reading a large set takes a while, so it is done once a machine: what was read is noted in the cache under size, times
and inode of every file, and read again as soon as one of them changes.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from exp.cells.counted import counted
from exp.cells.files import replace_whole
from exp.cells.machine import cpus
from exp.data.cache import cache_folder
from exp.data.source import DataError, unreadable

LENGTH = 16
"""Hexadecimal digits of a fingerprint of single files or options."""
TREE_LENGTH = 32
"""Of a fingerprint of a folder's files. Earlier versions knew them by names and sizes alone, in ``LENGTH`` digits."""

_CHUNK = 1 << 20
_FILES = 64  # files that a thread reads in a row
_LARGE = 1_000_000_000  # bytes from which the first reading is announced
_SETTLED_NS = 2_000_000_000  # a file may change twice within a tick of its clock, so younger ones are not noted

_anew = False


def of_files(paths: Sequence[Path]) -> str:
    """Returns the fingerprint of names and contents of files, in the order given; for small sets.

    Raises:
        DataError: A file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        try:
            state = path.stat()
            total.update(path.name.encode() + b"\0" + _remembered_contents(path, state.st_size, state.st_mtime_ns))
        except OSError as error:
            raise unreadable(path, error) from None
    return total.hexdigest()[:LENGTH]


def of_names(entries: Iterator[tuple[str, int]] | Sequence[tuple[str, int]]) -> str:
    """Returns a fingerprint of (name, number) pairs, in the order given; it knows nothing of contents."""
    total = hashlib.sha256()
    for name, size in entries:
        total.update(f"{name}\0{size}\n".encode())
    return total.hexdigest()[:LENGTH]


def of_tree(
    root: Path, names: Sequence[str], *, missing: str = "", look: tuple[str, Callable[[], None]] | None = None
) -> str:
    """Returns the fingerprint of relative names and contents of a set's files, in the order given.

    Args:
        root: The set's folder; where it lies does not matter to the fingerprint.
        names: The files, relative to ``root``.
        missing: What to say of a file that is not there; such as ``is listed but not there``.
        look: Called where the files are read: what raises DataError if they cannot be used, and a name of what it looks
            at, under which its success is noted.

    Raises:
        DataError: A file is missing or cannot be read.
    """
    folder = os.path.abspath(root)
    paths = [os.path.join(folder, name) for name in names]

    def read() -> dict[str, Any]:
        if look is not None:
            look[1]()
        total = hashlib.sha256()
        for name, digest in zip(names, _all_contents(paths), strict=True):
            total.update(name.encode(errors="surrogateescape") + b"\0" + digest)
        return {"fingerprint": total.hexdigest()[:TREE_LENGTH]}

    try:
        return str(noted(f"tree {look[0] if look else ''}", paths, read)["fingerprint"])
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} {missing or 'is not there'}") from None
    except OSError as error:
        raise unreadable(error.filename or folder, error) from None


def noted(what: str, paths: Sequence[str], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Returns what ``read`` finds in files, from the cache's note where the files are those it was made from.

    Args:
        what: Names the kind of note.
        paths: The files, absolute.
        read: Reads them; its answer is something that JSON can hold.

    Raises:
        OSError: A file is missing or cannot be read.
    """
    start, newest, size = time.time_ns(), 0, 0
    key = hashlib.sha256(what.encode())
    for path in paths:
        state = os.stat(path)
        newest = max(newest, state.st_mtime_ns)
        size += state.st_size
        states = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        key.update(os.fsencode(path) + f"\0{states}\n".encode())
    note = cache_folder() / "known" / f"{key.hexdigest()[:32]}.json"
    if not _anew:
        with suppress(OSError, ValueError):
            known = json.loads(note.read_text())
            if isinstance(known, dict):
                return known
    if size > _LARGE:
        about = f"{len(paths):,} files ({size / 1e9:.1f} GB)"
        print(f"exp: reading {about} once, to know their contents ({Path(paths[0]).parent} ...)", file=sys.stderr)
    value = read()
    if newest < start - _SETTLED_NS:
        with suppress(OSError):  # only a shortcut; a cache that cannot be written is an error where it is needed
            note.parent.mkdir(parents=True, exist_ok=True)
            with replace_whole(note) as fresh:
                fresh.write_text(json.dumps(value))
    return value


@contextmanager
def reading_anew() -> Iterator[None]:
    """Passes over what has been noted of files: inside, all of them are read and noted again."""
    global _anew
    _anew = True
    _remembered_contents.cache_clear()
    try:
        yield
    finally:
        _anew = False


def _all_contents(paths: Sequence[str]) -> list[bytes]:
    def some(start: int) -> list[bytes]:
        return [_contents(path) for path in paths[start : start + _FILES]]

    starts = range(0, len(paths), _FILES)
    with ThreadPoolExecutor(cpus()) as pool:
        parts = counted(pool.map(some, starts), "reading files to know their contents", len(paths), each=_FILES)
        return [digest for part in parts for digest in part]


def _contents(path: Path | str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


@lru_cache(maxsize=256)
def _remembered_contents(path: Path, size: int, changed: int) -> bytes:
    """Returns the SHA-256 of one file; size and time of change only serve as the key under which it is remembered."""
    return _contents(path)

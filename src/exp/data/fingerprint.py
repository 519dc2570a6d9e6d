"""Short fingerprints of data files, so that a result knows which data it was made from."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from exp.data.source import unreadable

LENGTH = 16
_CHUNK = 1 << 20


def of_files(paths: Iterable[Path]) -> str:
    """Returns the fingerprint of names and contents of files, in the order given; for small sets.

    Raises:
        DataError: A file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        try:
            state = path.stat()
            total.update(path.name.encode() + b"\0" + _contents(path, state.st_size, state.st_mtime_ns))
        except OSError as error:
            raise unreadable(path, error) from None
    return total.hexdigest()[:LENGTH]


def of_names(entries: Iterable[tuple[str, int]]) -> str:
    """Returns the fingerprint of (relative name, size in bytes) pairs, in the order given; for sets too large to read.

    A file replaced by another of the very same size goes unseen.
    """
    total = hashlib.sha256()
    for name, size in entries:
        total.update(f"{name}\0{size}\n".encode())
    return total.hexdigest()[:LENGTH]


@lru_cache(maxsize=256)
def _contents(path: Path, size: int, changed: int) -> bytes:
    """Returns the SHA-256 of one file; size and time of change only serve as the key under which it is remembered."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()

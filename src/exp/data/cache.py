"""Decoded images kept as memory-mapped .npy files, written once a machine and shared by all runs on it."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exp.data.source import DataError, unreadable

if TYPE_CHECKING:
    import numpy as np

CACHE_VARIABLE = "EXP_CACHE"


def cache_folder() -> Path:
    """Returns the folder named by EXP_CACHE, else ~/.cache/exp; it need not exist yet."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/exp").expanduser()


def cached_array(path: Path, shape: tuple[int, ...], fill: "Callable[[np.ndarray], None]") -> "np.ndarray":
    """Opens a cached array, and makes it first where it is missing.

    Two processes that want the same array at once make it once: the second waits for the first. The file appears
    under its name only when it is complete; nothing is left behind when ``fill`` raises.

    Args:
        path: The .npy file.
        shape: The array's shape; a file of another shape or a damaged one is made again.
        fill: Writes all of a zeroed uint8 array of that shape.

    Returns:
        A read-only uint8 memory map.

    Raises:
        DataError: The cache cannot be written or read.
    """
    ready = _open(path, shape)
    if ready is not None:
        return ready
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise _unwritable(path, error) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(path, error) from None
        ready = _open(path, shape)
        if ready is None:
            _make(path, shape, fill)
            ready = _open(path, shape)
    if ready is None:
        raise DataError(f"{path}: the cache was removed or changed while it was made; run again")
    return ready


def _open(path: Path, shape: tuple[int, ...]) -> "np.ndarray | None":
    import numpy as np

    try:
        array = np.load(path, mmap_mode="r")
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError):
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _make(path: Path, shape: tuple[int, ...], fill: "Callable[[np.ndarray], None]") -> None:
    import numpy as np

    part = path.with_name(path.name + ".part")  # one name is enough under the lock, and a killed run's rest is reused
    try:
        try:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            if hasattr(os, "posix_fallocate"):
                # A full disk is an error here; found while writing to the map, it would kill the process (SIGBUS).
                with part.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
        except OSError as error:
            raise _unwritable(path, error) from None
        fill(array)
        array.flush()
        del array
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path.parent}: the cache cannot be written ({error.strerror}); set {CACHE_VARIABLE} elsewhere")

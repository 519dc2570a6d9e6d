"""The two generations of a cell's checkpoint, and which of them a run goes on from.

``last.ckpt`` is the newest, ``former.ckpt`` the one before. The former is kept while the cell is unfinished, since a
checkpoint can be damaged after it was written whole: by a disk, a copy, or a power cut that a disk did not survive.
"""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from exp.cells.cell import FORMER, LAST
from exp.cells.files import replace_whole, sync
from exp.options.errors import brief


def resumable(folder: Path, tell: bool) -> Path | None:
    """Returns the checkpoint that a cell goes on from, None where it starts anew.

    All ranks decide alike, since nothing is changed here.

    Args:
        folder: The cell's directory.
        tell: Whether to say on standard error what is damaged, and what follows from it.
    """
    there = [folder / name for name in (LAST, FORMER) if (folder / name).exists()]
    for path in there:
        problem = _problem(path)
        if problem is None:
            return path
        if tell:
            print(f"exp: {path}: damaged ({problem}); going back to the one before it", file=sys.stderr)
    if there and tell:
        print(f"exp: {folder}: no checkpoint is left; starting anew", file=sys.stderr)
    return None


def put_last(folder: Path, write: Callable[[Path], None], keep: bool) -> None:
    """Makes a new ``last.ckpt``; the one there is becomes ``former.ckpt``.

    The new one is on the disk before a name changes, and a power cut between the two renamings leaves the former.

    Args:
        folder: The cell's directory.
        write: Writes a checkpoint to a path.
        keep: Whether the ``last.ckpt`` there is known to be good; otherwise the former stays what it is.
    """
    last = folder / LAST
    with replace_whole(last) as fresh:
        write(fresh)
        sync(fresh)
        if keep and last.exists():
            os.replace(last, folder / FORMER)


def drop_unfinished(folder: Path) -> None:
    """Removes checkpoints that a process was killed while writing; for whoever has the cell's lock.

    Args:
        folder: The cell's directory.
    """
    for path in folder.glob(".*.ckpt.*"):
        path.unlink(missing_ok=True)


def _problem(path: Path) -> str | None:
    """Returns why a checkpoint cannot be gone on from, None where it can."""
    damage = _damage(path)
    if damage is not None:
        return damage
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        best = kept["exp"]["best"]
    except Exception as error:
        return brief(error)[:140]
    return _damage(path.with_name("best.ckpt")) if best is not None else None


def _damage(path: Path) -> str | None:
    """Returns what is wrong with a checkpoint's bytes, which ``torch.load`` does not compare with their checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            name = file.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        return f"{path.name}: {error}"
    return None if name is None else f"{path.name}: the checksum of {name} is another"

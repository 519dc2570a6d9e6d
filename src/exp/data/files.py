"""Images that stay in their files and are decoded whenever they are asked for, and names for what is made of files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.decode import read_image


class ImageFiles:
    """A set's pixels, uint8 (N, 3, size, size), in place of an array: each image is decoded when it is asked for.

    Args:
        root: Folder of the files.
        names: Their names relative to it.
        size: Side to which they are decoded, see ``exp.data.decode.read_image``.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, root: Path, names: Sequence[str], size: int) -> None:
        self.root = root
        self.names = names
        self.size = size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, size, size)."""
        return len(self.names), 3, self.size, self.size

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: Any) -> Any:
        """Returns some of the files by a slice, or the pixels of one, uint8 (3, size, size), by its number.

        Raises:
            DataError: The file is missing or damaged.
        """
        if isinstance(key, slice):
            return ImageFiles(self.root, self.names[key], self.size)
        return read_image(self.path(key), self.size)

    def path(self, row: int) -> Path:
        """Returns a sample's file."""
        return self.root / self.names[row]


def distinct_names(paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Returns names for what is made of each file, no two alike.

    Args:
        paths: The files, each once.
        names: What they are to be called; where two are alike, all are called by their path below the folder that they
            share, and where that is not enough, with its ending.
    """
    if len(set(names)) == len(names):
        return list(names)
    whole = [path.absolute() for path in paths]
    above = Path(os.path.commonpath([path.parent for path in whole]))
    short = [path.relative_to(above).with_suffix("").as_posix() for path in whole]
    return short if len(set(short)) == len(short) else [path.relative_to(above).as_posix() for path in whole]

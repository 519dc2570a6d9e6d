"""What a data set is to the rest of ``exp``, and how its folder is found.

Everything here is torch-free: a sweep is planned (sets checked, fingerprinted, classes counted) before any process
needs torch.
"""

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from exp.options.errors import DataError as DataError

if TYPE_CHECKING:
    import numpy as np

ROOT_VARIABLE = "EXP_DATA"


class Pixels(Protocol):
    """Images (N, C, H, W): an array, a memory map, or files that are decoded when a row is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        ...

    @property
    def ndim(self) -> int:
        """4."""
        ...

    @property
    def dtype(self) -> Any:
        """uint8."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Split:
    """One part (train, val or test) of an image data set.

    Attributes:
        images: uint8 (N, C, H, W), pixels 0..255.
        labels: int64 (N,), class numbers.

    Raises:
        ValueError: Shapes, types or lengths are others.
    """

    images: Pixels
    labels: "np.ndarray"

    def __post_init__(self) -> None:
        import numpy as np

        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 (N, C, H, W), not {self.images.dtype} {self.images.shape}")
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise ValueError(f"labels must be int64 (N,), not {self.labels.dtype} {self.labels.shape}")
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)


def refuse_unknown_labels(parts: Mapping[str, Split], classes: int) -> None:
    """Refuses labels that number no class, which training would find with an error of its own.

    Raises:
        DataError: A part has such a label.
    """
    for name, part in parts.items():
        if len(part) and not 0 <= part.labels.min() <= part.labels.max() < classes:
            low, high = part.labels.min(), part.labels.max()
            raise DataError(f"{name}: labels {low} to {high}, but {classes} classes are numbered 0 to {classes - 1}")


@functools.cache
def say_once(line: str) -> None:
    """Warns of something about a data set, once a process: what was left out, and why."""
    logging.getLogger("exp.data").warning(line)


def unreadable(path: Path | str, error: OSError) -> DataError:
    """Returns the error for a file or folder that the system does not let us read."""
    return DataError(f"{path}: cannot be read ({error.strerror})")


class Source(Protocol):
    """What the reader of a data set has. It is built from its options class, which touches no file."""

    @property
    def num_classes(self) -> int:
        """Number of classes; for fixed sets known without the data."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image, known without the data."""
        ...

    @property
    def class_names(self) -> list[str] | None:
        """Names in the order of the class numbers, or None where the set has none."""
        ...

    def check(self) -> str:
        """Looks at the files and returns the set's fingerprint.

        Contents are read once a machine; afterwards size, times and inode show whether a file is the same.

        Returns:
            Hexadecimal digits that depend on the data's contents alone, not on options such as a split.

        Raises:
            DataError: Files are missing or visibly damaged.
        """
        ...

    def load(self) -> dict[str, Split]:
        """Reads the set.

        Returns:
            The parts "train", "val" (absent where no validation part was asked for) and "test".

        Raises:
            DataError: Files are missing or damaged.
        """
        ...


def find_root(root: str | None, wanted: Sequence[str], name: str, where_to_get: str) -> Path:
    """Finds the folder of a data set as its publisher lays it out.

    Args:
        root: A folder, or None for the one named by the environment variable EXP_DATA.
        wanted: What must lie there, as ``folder/file`` with the publisher's folder in front (``root`` may then be that
            folder, under any name, or its parent), or bare names that must lie in ``root`` itself.
        name: The data set's name, for messages.
        where_to_get: Where the set can be had, for messages.

    Returns:
        The folder in which the wanted files lie (the publisher's own folder where there is one).

    Raises:
        DataError: No folder was given, or it lacks a wanted file.
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if not given:
        raise DataError(
            f"{name}: no data folder given; set data.root or {ROOT_VARIABLE} to the folder that holds "
            f"{', '.join(wanted)} (from {where_to_get})"
        )
    base = Path(given).expanduser()
    if not base.is_dir():
        given_by = "data.root" if root is not None else ROOT_VARIABLE
        raise DataError(f"{name}: {given_by} is {base}, which is no folder; the set comes from {where_to_get}")
    folder, _, _ = wanted[0].rpartition("/")
    files = [entry.rpartition("/")[2] for entry in wanted]
    candidates = [base / folder, base] if folder else [base]
    missing = [[file for file in files if not (place / file).exists()] for place in candidates]
    for place, lacking in zip(candidates, missing, strict=True):
        if not lacking:
            return place
    place, lacking = min(zip(candidates, missing, strict=True), key=lambda pair: len(pair[1]))
    if len(lacking) < len(files):
        raise DataError(f"{name}: {place} lacks {', '.join(lacking)}; the whole set comes from {where_to_get}")
    archives = sorted(path.name for path in base.glob(f"{folder}*.tar*")) if folder else []
    hint = f"unpack {archives[0]} there" if archives else f"get the set from {where_to_get}"
    raise DataError(f"{name}: found no {', '.join(wanted)} in {base}; {hint}")


class Opaque:
    """Data that a user's own code reads; what the code is decides whether a result is stale.

    Args:
        options: Those of the data set, of which there are none.
    """

    def __init__(self, options: Any) -> None:
        self.options = options

    def check(self) -> str:
        """Returns a constant: nothing is known of the data without running the code."""
        return "own"

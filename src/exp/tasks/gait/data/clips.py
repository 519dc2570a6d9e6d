"""Clips of silhouettes: one memory-mapped file for a split, one bit for a pixel where the silhouettes are binary.

A stored split is a folder of two files: ``frames.bin`` (all frames one behind the other) and ``index.npz`` (who, how,
from where, and where each clip begins). It appears under its name only when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from exp.data.source import DataError, unreadable

_REPACK = 4096
"""Frames packed at a time."""


@dataclass(frozen=True)
class Clips:
    """Walks of one split.

    Attributes:
        frames: (F, H, W) uint8 of 0..255, or (F, H, ceil(W / 8)) packed bits; the clips one behind the other.
        starts: (n + 1,) first frame of each clip, and the end.
        ids: (n,) persons.
        types: (n,) walks, such as nm-05.
        views: (n,) angles, such as 090.
        size: (H, W).
        packed: Whether frames are packed bits.
    """

    frames: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    types: np.ndarray
    views: np.ndarray
    size: tuple[int, int]
    packed: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) frames of each clip."""
        return np.diff(self.starts)

    @property
    def people(self) -> list[str]:
        """The persons, ascending."""
        return sorted(set(self.ids.tolist()))

    def read(self, clip: int, places: np.ndarray | None = None) -> np.ndarray:
        """Returns frames of a clip, uint8 (k, H, W) of 0..255.

        Args:
            clip: Its number.
            places: (k,) frames within the clip, in the order wanted; all in their own order if not given.
        """
        first, last = self.starts[clip], self.starts[clip + 1]
        found = self.frames[first:last] if places is None else self.frames[first + places]
        if not self.packed:
            return np.array(found)
        return np.unpackbits(found, axis=2, count=self.size[1]) * np.uint8(255)

    def subset(self, rows: np.ndarray) -> Clips:
        """Returns the clips of these numbers, as a view of the same file.

        Args:
            rows: (k,) clip numbers, ascending.
        """
        return _Subset(
            self.frames, self.starts, self.ids[rows], self.types[rows], self.views[rows], self.size, self.packed, rows
        )


@dataclass(frozen=True)
class _Subset(Clips):
    rows: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)[self.rows]

    def read(self, clip: int, places: np.ndarray | None = None) -> np.ndarray:
        return super().read(int(self.rows[clip]), places)

    def subset(self, rows: np.ndarray) -> Clips:
        whole = self.rows[rows]
        return _Subset(
            self.frames, self.starts, self.ids[rows], self.types[rows], self.views[rows], self.size, self.packed, whole
        )


class ClipWriter:
    """Writes clips into a folder, one after the other.

    Args:
        folder: Where ``frames.bin`` and ``index.npz`` go; it must exist.
        size: (H, W) of every frame.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self._folder = folder
        self._size = size
        self._file = (folder / "frames.bin").open("wb")
        self._labels: list[tuple[str, str, str]] = []
        self._lengths: list[int] = []
        self._binary = True

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._finish()

    def add(self, person: str, walk: str, view: str, frames: np.ndarray) -> None:
        """Adds a clip of bool or uint8 (T, H, W), T at least 1."""
        pixels = frames.astype(np.uint8) * np.uint8(255) if frames.dtype == bool else frames
        if self._binary and frames.dtype != bool:
            self._binary = bool(((pixels == 0) | (pixels == 255)).all())
        self._file.write(np.ascontiguousarray(pixels).tobytes())
        self._labels.append((person, walk, view))
        self._lengths.append(len(frames))

    def _finish(self) -> None:
        if self._binary and self._lengths:
            self._pack()
        ids, types, views = (
            (np.array(column) for column in zip(*self._labels, strict=True))
            if self._labels
            else (np.empty(0, "U1"),) * 3
        )
        starts = np.concatenate([[0], np.cumsum(self._lengths, dtype=np.int64)]).astype(np.int64)
        np.savez(
            self._folder / "index.npz",
            starts=starts,
            ids=ids,
            types=types,
            views=views,
            size=np.array(self._size),
            packed=np.array(self._binary),
        )

    def _pack(self) -> None:
        """Rewrites the frames with one bit a pixel."""
        path, packed = self._folder / "frames.bin", self._folder / "packed.bin"
        whole = np.memmap(path, np.uint8, "r", shape=(sum(self._lengths), *self._size))
        with packed.open("wb") as file:
            for low in range(0, len(whole), _REPACK):
                file.write(np.packbits(whole[low : low + _REPACK] > 0, axis=2).tobytes())
        del whole
        os.replace(packed, path)


def stored(folder: Path, size: tuple[int, int], make: Callable[[ClipWriter], None]) -> Clips:
    """Returns a stored split, and makes it first where it is missing.

    Two processes that want the same split at once make it once. Nothing is left behind when ``make`` raises.

    Args:
        folder: The split's folder.
        size: (H, W) of every frame.
        make: Adds all clips.

    Raises:
        DataError: The folder cannot be written or read, or is damaged.
    """
    if (folder / "index.npz").exists():
        return opened(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "index.npz").exists():
                part = folder.with_name(f"{folder.name}.part")
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                try:
                    with ClipWriter(part, size) as writer:
                        make(writer)
                    shutil.rmtree(folder, ignore_errors=True)
                    os.replace(part, folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{folder.parent}: the cache cannot be written ({error.strerror}); set EXP_CACHE elsewhere"
        ) from None
    return opened(folder)


def opened(folder: Path) -> Clips:
    """Returns a stored split.

    Raises:
        DataError: A file is missing, or the two do not fit together.
    """
    try:
        with np.load(folder / "index.npz", allow_pickle=False) as index:
            starts, ids, types, views = (index[name] for name in ("starts", "ids", "types", "views"))
            size, packed = (int(index["size"][0]), int(index["size"][1])), bool(index["packed"])
        shape = (int(starts[-1]), size[0], -(-size[1] // 8) if packed else size[1])
        path = folder / "frames.bin"
        if path.stat().st_size != int(np.prod(shape)):
            raise DataError(f"{path}: {path.stat().st_size} bytes where {int(np.prod(shape))} belong; remove {folder}")
        frames = np.memmap(path, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)
    except OSError as error:
        raise unreadable(folder, error) from None
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{folder}: damaged ({error}); remove it and run again") from None
    return Clips(frames, starts, ids, types, views, size, packed)


def key_of(*parts: object) -> str:
    """Returns a folder name, 16 hexadecimal digits, that follows from values that JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

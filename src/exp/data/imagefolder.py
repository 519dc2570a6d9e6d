"""Any set laid out as `part/class/image`, such as ImageNet, Imagenette or one's own.

The images are decoded once a machine, to one size, into memory-mapped files (see `exp.data.cache`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exp.data import fingerprint
from exp.data.cache import cache_folder, cached_array
from exp.data.decode import ENDINGS, read_image
from exp.data.partition import check_fraction, hold_out, holdout_rank
from exp.data.source import DataError, Split, find_root, unreadable

_log = logging.getLogger(__name__)
_NAME = "image folder"
_WHERE = "the set's publisher, unpacked as train/CLASS/*.jpg and val/CLASS/*.jpg"
_DEFAULT_VAL = 0.1
_CACHE_FORMAT = 1  # to be raised whenever the same files would be decoded or ordered otherwise
_STRIDE = 32  # images a thread decodes in a row


@dataclass(frozen=True)
class _Part:
    """Images of one folder: file names relative to the root, in order; sizes in bytes; class numbers (N,)."""

    files: list[str]
    sizes: list[int]
    labels: np.ndarray


class ImageFolder:
    """Images in folders train/, val/ and maybe test/, in each one folder a class, the same ones.

    With a test folder, the three are the three parts. Without one, the val folder is the publisher's benchmark: it
    becomes the test part, and a validation part is split from train. With train and test only, likewise.

    A class's images may lie in deeper folders. Hidden files and files that are not images by name are passed over.

    Args:
        root: the folder; None for EXP_DATA.
        size: side of the images: the short side is resized to it, the centre cut out.
        stored: side at which they are stored, at least `size`; random windows and the centre are cut from that. null
            stores them at `size`.
        val_fraction: share of train that becomes the validation part, 0 for none; null means 0.1. Not to be given
            for a set with folders for all three parts.
        num_classes: how many classes there should be; null takes what is found (and needs the data to tell).

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        size: int = 224,
        stored: int | None = None,
        val_fraction: float | None = None,
        num_classes: int | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, not {num_classes}")
        self.root = root
        if stored is not None and stored < size:
            raise ValueError(f"stored must be at least size {size}, not {stored}")
        self.size = size
        self.stored = size if stored is None else stored
        self.val_fraction = None if val_fraction is None else check_fraction(val_fraction, "val_fraction")
        self._expected = num_classes
        self._parts: dict[str, _Part] | None = None

    @property
    def num_classes(self) -> int:
        """The number given, else the number of class folders.

        Raises:
            DataError: if it was not given and the data are missing.
        """
        return self._expected if self._expected is not None else len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, size, size)."""
        return 3, self.size, self.size

    @property
    def class_names(self) -> list[str]:
        """Names of the class folders, sorted; needs the data.

        Raises:
            DataError: if they are missing.
        """
        return _classes(self._find() / "train")

    def check(self) -> str:
        """See `Source.check`; the fingerprint covers the files' relative names and sizes, not their contents."""
        parts = self._list()
        return fingerprint.of_names(
            pair for _, part in sorted(parts.items()) for pair in zip(part.files, part.sizes, strict=True)
        )

    def load(self) -> dict[str, Split]:
        """See `Source.load`; images are read-only memory maps, uint8 (N, 3, stored, stored), RGB.

        The first call on a machine decodes all images and takes a while; a damaged one raises DataError.
        """
        parts = self._list()
        folder = cache_folder() / "imagefolder" / f"{self.check()}-{self.stored}-v{_CACHE_FORMAT}"
        result: dict[str, Split] = {}
        for name, part in parts.items():
            # In the train file, held-out samples of any fraction come first: both parts are views, never copies.
            rank = holdout_rank(part.labels) if name == "train" else np.zeros(len(part.labels))
            order = np.argsort(rank, kind="stable")
            images = self._decoded(folder / f"{name}.npy", [part.files[row] for row in order])
            labels = part.labels[order]
            if name == "train" and len(parts) == 2:
                held = len(hold_out(part.labels, self._share(), _NAME)[1])
                result["train"] = Split(images[held:], labels[held:])
                if held:
                    result["val"] = Split(images[:held], labels[:held])
            else:
                result["test" if len(parts) == 2 else name] = Split(images, labels)
        return result

    def _share(self) -> float:
        return _DEFAULT_VAL if self.val_fraction is None else self.val_fraction

    def _find(self) -> Path:
        return find_root(self.root, ["train"], _NAME, _WHERE)

    def _list(self) -> dict[str, _Part]:
        """The folders' contents by part, listed once an instance."""
        if self._parts is None:
            try:
                self._parts = self._look(self._find())
            except OSError as error:
                raise unreadable(error.filename, error) from None
        return self._parts

    def _look(self, root: Path) -> dict[str, _Part]:
        names = [name for name in ("train", "val", "test") if (root / name).is_dir()]
        if len(names) == 1:
            raise DataError(f"{_NAME}: {root} has train but neither val nor test; put held-out images in one of them")
        if len(names) == 3 and self.val_fraction is not None:
            raise DataError(
                f"{_NAME}: {root} has a val and a test folder, so val_fraction splits nothing; leave it out"
            )
        classes = _classes(root / "train")
        if self._expected is not None and len(classes) != self._expected:
            raise DataError(f"{_NAME}: {root / 'train'} has {len(classes)} classes, but num_classes={self._expected}")
        for name in names[1:]:
            odd = sorted(set(classes) ^ set(_classes(root / name)))
            if odd:
                there, lacking = ("train", name) if odd[0] in classes else (name, "train")
                raise DataError(f"{_NAME}: class {odd[0]} is in {root / there} but not in {root / lacking}")
        parts = {name: _list_part(root, name, classes) for name in names}
        if len(names) == 2:
            hold_out(parts["train"].labels, self._share(), _NAME)  # raises here rather than after an hour of decoding
        return parts

    def _decoded(self, path: Path, files: Sequence[str]) -> np.ndarray:
        root = self._find()

        def fill(array: np.ndarray) -> None:
            _log.info("decoding %d images once into %s", len(files), path)

            def decode(start: int) -> None:
                for row in range(start, min(start + _STRIDE, len(files))):
                    array[row] = read_image(root / files[row], self.stored)

            with ThreadPoolExecutor(_cores()) as pool:
                runs = [pool.submit(decode, start) for start in range(0, len(files), _STRIDE)]
                try:
                    for run in runs:
                        run.result()
                finally:
                    pool.shutdown(cancel_futures=True)

        return cached_array(path, (len(files), 3, self.stored, self.stored), fill)


def _classes(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{_NAME}: {folder} has no class folders; the layout is {_WHERE}")
    return names


def _list_part(root: Path, name: str, classes: Sequence[str]) -> _Part:
    files: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for label, label_name in enumerate(classes):
        found = sorted(_images(root / name / label_name))
        if not found:
            raise DataError(f"{_NAME}: {root / name / label_name} has no images ({', '.join(ENDINGS)})")
        for path, size in found:
            files.append(Path(path).relative_to(root).as_posix())
            sizes.append(size)
            labels.append(label)
    return _Part(files, sizes, np.array(labels, dtype=np.int64))


def _images(folder: Path) -> list[tuple[str, int]]:
    """Path and size of every image below a folder, in no order."""
    found = []
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            found += _images(Path(entry.path))
        elif entry.name.lower().endswith(ENDINGS):
            found.append((entry.path, entry.stat().st_size))
    return found


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Any set laid out as ``part/class/image``, such as ImageNet, Imagenette or one's own.

The images are decoded to one size: once a machine, into memory-mapped files (see ``exp.data.cache``), or, where those
would be large, each time they are used (see ``exp.data.decoders``). The pixels are the same to the last bit.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exp.cells.counted import counted
from exp.cells.machine import cpus
from exp.data import fingerprint
from exp.data.cache import cache_folder, cached_array
from exp.data.decode import ENDINGS
from exp.data.files import ImageFiles
from exp.data.partition import hold_out, holdout_rank
from exp.data.source import DataError, Pixels, Split, find_root, say_once, unreadable
from exp.data.text import refuse_unreadable_name
from exp.tasks.attention.options import ImageFolderOptions

_log = logging.getLogger(__name__)
_NAME = "image folder"
_WHERE = "the set's publisher, unpacked as train/CLASS/*.jpg and val/CLASS/*.jpg"
_DEFAULT_VAL = 0.1
_CACHE_FORMAT = 2  # to be raised whenever the same files would be decoded or ordered otherwise
_STRIDE = 32  # images a thread takes in a row

CACHED_UP_TO = 32_000_000_000
"""Bytes of decoded pixels up to which ``decode=auto`` caches them."""


@dataclass(frozen=True)
class _Part:
    """Images of one folder: file names relative to the root, in order; class numbers (N,); files left out by reason."""

    files: list[str]
    labels: np.ndarray
    left_out: Counter[str]


class ImageFolder:
    """Images in folders train/, val/ and maybe test/, in each one folder a class, the same ones.

    With a test folder, the three are the three parts. Without one, the val folder is the publisher's benchmark: it
    becomes the test part, and a validation part is split from train. With train and test only, likewise.

    A class's images may lie in deeper folders. Hidden files are passed over; files that are not images by
    name are left out, and it is said how many.

    Args:
        options: See ``ImageFolderOptions``; ``val_fraction`` is not to be given for a set with folders for all three
            parts, and without ``num_classes`` the number of classes is known only where the data are.
        given: Options by name, in place of ``options``.

    Attributes:
        stored: Side at which images are kept decoded.

    Raises:
        ConfigError: See ``ImageFolderOptions``.
    """

    def __init__(self, options: ImageFolderOptions | None = None, **given: Any) -> None:
        self.options = ImageFolderOptions.of(options, given)
        self.stored = self.options.size if self.options.stored is None else self.options.stored
        self._parts: dict[str, _Part] | None = None

    @property
    def num_classes(self) -> int:
        """The number given, else the number of class folders.

        Raises:
            DataError: It was not given and the data are missing.
        """
        return len(self.class_names) if self.options.num_classes is None else self.options.num_classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, size, size)."""
        return 3, self.options.size, self.options.size

    @property
    def class_names(self) -> list[str]:
        """Names of the class folders, sorted; needs the data.

        Raises:
            DataError: They are missing.
        """
        return _classes(self._find() / "train")

    def check(self) -> str:
        """See ``Source.check``; the fingerprint covers the files' relative names and contents."""
        parts = self._list()
        left_out = sum((part.left_out for part in parts.values()), Counter[str]())
        if left_out:
            say_once(f"{_NAME}: {self._find()}: left out {_reasons(left_out)} (images are {', '.join(ENDINGS)})")
        return fingerprint.of_tree(self._find(), [name for _, part in sorted(parts.items()) for name in part.files])

    def load(self) -> dict[str, Split]:
        """See ``Source.load``; images are uint8 (N, 3, stored, stored), RGB.

        They are read-only memory maps, where the first call on a machine decodes all images and takes a while, or
        ``ImageFiles``. A damaged image raises DataError, now or when it is read.
        """
        parts = self._list()
        folder = cache_folder() / "imagefolder" / f"{self.check()}-{self.stored}-v{_CACHE_FORMAT}"
        result: dict[str, Split] = {}
        for name, part in parts.items():
            # In the train file, held-out samples of any fraction come first: both parts are views, never copies.
            rank = holdout_rank(part.labels) if name == "train" else np.zeros(len(part.labels))
            order = np.argsort(rank, kind="stable")
            files = ImageFiles(self._find(), [part.files[row] for row in order], self.stored)
            images: Pixels = self._decoded(folder / f"{name}.npy", files) if self.cached else files
            labels = part.labels[order]
            if name == "train" and len(parts) == 2:
                held = len(hold_out(part.labels, self._share(), _NAME)[1])
                result["train"] = Split(images[held:], labels[held:])
                if held:
                    result["val"] = Split(images[:held], labels[:held])
            else:
                result["test" if len(parts) == 2 else name] = Split(images, labels)
        return result

    @property
    def cached(self) -> bool:
        """Whether the images are decoded once a machine; needs the data under ``decode=auto``.

        Raises:
            DataError: They are missing.
        """
        if self.options.decode == "auto":
            return 3 * self.stored**2 * sum(len(part.files) for part in self._list().values()) <= CACHED_UP_TO
        return self.options.decode == "cache"

    def report(self) -> dict[str, Any]:
        """Decodes every image, on all cores, and returns counts and what is wrong with the damaged ones.

        Raises:
            DataError: The set is missing or not laid out as it should be.
        """
        damaged: list[str] = []
        parts = self._list()
        for part in parts.values():
            files = ImageFiles(self._find(), part.files, self.stored)

            def look(row: int, files: ImageFiles = files) -> None:
                try:
                    files[row]
                except DataError as error:
                    damaged.append(str(error))

            _in_threads(len(files), look, "checking images")
        return {
            "root": str(self._find()),
            "classes": len(self.class_names),
            "images": {name: len(part.files) for name, part in parts.items()},
            "left out": [f"{name}: {_reasons(part.left_out)}" for name, part in parts.items() if part.left_out],
            "damaged": sorted(damaged),
        }

    def _share(self) -> float:
        return _DEFAULT_VAL if self.options.val_fraction is None else self.options.val_fraction

    def _find(self) -> Path:
        return find_root(self.options.root, ["train"], _NAME, _WHERE)

    def _list(self) -> dict[str, _Part]:
        """Returns the folders' contents by part, listed once an instance."""
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
        if len(names) == 3 and self.options.val_fraction is not None:
            raise DataError(
                f"{_NAME}: {root} has a val and a test folder, so val_fraction splits nothing; leave it out"
            )
        classes = _classes(root / "train")
        expected = self.options.num_classes
        if expected is not None and len(classes) != expected:
            raise DataError(f"{_NAME}: {root / 'train'} has {len(classes)} classes, but num_classes={expected}")
        for name in names[1:]:
            odd = sorted(set(classes) ^ set(_classes(root / name)))
            if odd:
                there, lacking = ("train", name) if odd[0] in classes else (name, "train")
                raise DataError(f"{_NAME}: class {odd[0]} is in {root / there} but not in {root / lacking}")
        parts = {name: _list_part(root, name, classes) for name in names}
        if len(names) == 2:
            hold_out(parts["train"].labels, self._share(), _NAME)  # raises here rather than after an hour of decoding
        return parts

    def _decoded(self, path: Path, files: ImageFiles) -> np.ndarray:
        def fill(array: np.ndarray) -> None:
            _log.info("decoding %d images once into %s", len(files), path)

            def decode(row: int) -> None:
                array[row] = files[row]

            _in_threads(len(files), decode, "decoding images")

        return cached_array(path, files.shape, fill)


def _in_threads(count: int, do: Callable[[int], None], what: str) -> None:
    """Calls ``do`` with 0..count on all cores, says how far ``what`` is, and stops at the first error."""

    def run(start: int) -> None:
        for row in range(start, min(start + _STRIDE, count)):
            do(row)

    with ThreadPoolExecutor(cpus()) as pool:
        runs = [pool.submit(run, start) for start in range(0, count, _STRIDE)]
        try:
            for one in counted(runs, what, count, each=_STRIDE):
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _classes(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    for name in names:
        refuse_unreadable_name(os.path.join(folder, name))
    if not names:
        raise DataError(f"{_NAME}: {folder} has no class folders; the layout is {_WHERE}")
    return names


def _list_part(root: Path, name: str, classes: Sequence[str]) -> _Part:
    files: list[str] = []
    labels: list[int] = []
    left_out: Counter[str] = Counter()
    for label, label_name in enumerate(classes):
        folder = root / name / label_name
        images = sorted(_images(folder, left_out, frozenset()))
        if not images:
            there = f"; it has {_reasons(left_out)}" if left_out else ""
            raise DataError(f"{_NAME}: {folder} has no images ({', '.join(ENDINGS)}){there}")
        files += [Path(path).relative_to(root).as_posix() for path in images]
        labels += [label] * len(images)
    return _Part(files, np.array(labels, dtype=np.int64), left_out)


def _images(folder: Path, left_out: Counter[str], above: frozenset[tuple[int, int]]) -> list[str]:
    """Returns the path of every image below a folder, in no order; links to folders are followed.

    Args:
        folder: The folder.
        left_out: Counts files that are none, by reason.
        above: The folders above it, so that a link to one of them is not followed for ever.
    """
    state = os.stat(folder)
    here = (state.st_dev, state.st_ino)
    if here in above:
        left_out["link to a folder above"] += 1
        return []
    images = []
    with os.scandir(folder) as listing:
        entries = list(listing)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        refuse_unreadable_name(entry.path)
        ending = os.path.splitext(entry.name)[1].lower()
        if entry.is_dir():
            images += _images(Path(entry.path), left_out, above | {here})
        elif ending not in ENDINGS:
            left_out[ending or "without ending"] += 1
        elif not entry.is_file():
            left_out["broken link"] += 1
        else:
            images.append(entry.path)
    return images


def _reasons(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())

"""CIFAR-10 and CIFAR-100 in the publisher's "python version" (Krizhevsky, 2009, "Learning Multiple Layers of
Features from Tiny Images"): pickled dictionaries with one row of 3,072 bytes an image, red, green, blue planes.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exp.data import fingerprint
from exp.data.partition import hold_out
from exp.data.source import DataError, Split, find_root, unreadable
from exp.data.unpickle import read_pickle
from exp.tasks.attention.options import Cifar10Options, Cifar100Options

_SHAPE = (3, 32, 32)
_WHERE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_STOP = b"."  # the opcode that ends every complete pickle


class _Cifar:
    """What the two sets share.

    Args:
        options: Of one of the sets.
        label_key: Name of the labels in the files.
        names_key: Name of the class names in the meta file.
        classes: Number of classes.

    Attributes:
        name: The set's name in messages.
        folder: The publisher's folder.
        train_files: The files of the training and validation parts.
        test_file: The file of the test part.
        meta_file: The file with the class names.
        records: Rows in each train file, and in the test file.
    """

    name: str
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    meta_file: str
    records: tuple[int, int]

    def __init__(
        self, options: Cifar10Options | Cifar100Options, *, label_key: str, names_key: str, classes: int
    ) -> None:
        self.options = options
        self.num_classes = classes
        self._label_key = label_key
        self._names_key = names_key

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, 32, 32)."""
        return _SHAPE

    @property
    def class_names(self) -> list[str]:
        """The publisher's names; needs the data.

        Raises:
            DataError: They are missing or damaged.
        """
        path = self._find() / self.meta_file
        names = _entry(read_pickle(path), self._names_key, path)
        if not isinstance(names, list) or len(names) != self.num_classes:
            raise DataError(f"{path}: {self._names_key} should list {self.num_classes} names; get the file again")
        return [name.decode("ascii") if isinstance(name, bytes) else str(name) for name in names]

    def check(self) -> str:
        """See ``Source.check``; the fingerprint covers the contents of all files."""
        folder = self._find()
        paths = [folder / file for file in (*self.train_files, self.test_file, self.meta_file)]
        for path, records in zip(paths, [*[self.records[0]] * len(self.train_files), self.records[1], 0], strict=True):
            if not _complete(path, records * int(np.prod(_SHAPE))):
                raise DataError(f"{self.name}: {path} is truncated; get it again from {_WHERE}")
        return fingerprint.of_files(paths)

    def load(self) -> dict[str, Split]:
        """See ``Source.load``; images are uint8 (N, 3, 32, 32), RGB. The test part is the publisher's."""
        folder = self._find()
        images, labels = self._read(folder, self.train_files, self.records[0])
        train, val = hold_out(labels, self.options.val_fraction, self.name)
        parts = {"train": Split(images[train], labels[train])}
        if len(val):
            parts["val"] = Split(images[val], labels[val])
        images, labels = self._read(folder, [self.test_file], self.records[1])
        parts["test"] = Split(images.copy(), labels)
        return parts

    def _find(self) -> Path:
        files = (*self.train_files, self.test_file, self.meta_file)
        return find_root(self.options.root, [f"{self.folder}/{file}" for file in files], self.name, _WHERE)

    def _read(self, folder: Path, files: Sequence[str], records: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns images uint8 (n, 3, 32, 32), maybe read-only, and labels int64 (n,) of the files, checked."""
        images, labels = [], []
        for file in files:
            path = folder / file
            batch = read_pickle(path)
            images.append(_images(_entry(batch, "data", path), records, path))
            labels.append(_labels(_entry(batch, self._label_key, path), records, self.num_classes, path))
        return (images[0] if len(images) == 1 else np.concatenate(images)), np.concatenate(labels)


class Cifar100(_Cifar):
    """CIFAR-100: 50,000 + 10,000 images of 100 classes in 20 groups.

    Args:
        options: See ``Cifar100Options``; ``root`` is the folder cifar-100-python, or its parent.
        given: Options by name, in place of ``options``.
    """

    name = "CIFAR-100"
    folder = "cifar-100-python"
    train_files = ("train",)
    test_file = "test"
    meta_file = "meta"
    records = (50_000, 10_000)

    def __init__(self, options: Cifar100Options | None = None, **given: Any) -> None:
        options = Cifar100Options.of(options, given)
        super().__init__(
            options,
            label_key=f"{options.labels}_labels",
            names_key=f"{options.labels}_label_names",
            classes=100 if options.labels == "fine" else 20,
        )


class Cifar10(_Cifar):
    """CIFAR-10: 50,000 + 10,000 images of 10 classes.

    Args:
        options: See ``Cifar10Options``; ``root`` is the folder cifar-10-batches-py, or its parent.
        given: Options by name, in place of ``options``.
    """

    name = "CIFAR-10"
    folder = "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{number}" for number in range(1, 6))
    test_file = "test_batch"
    meta_file = "batches.meta"
    records = (10_000, 10_000)

    def __init__(self, options: Cifar10Options | None = None, **given: Any) -> None:
        options = Cifar10Options.of(options, given)
        super().__init__(options, label_key="labels", names_key="label_names", classes=10)


def _complete(path: Path, least: int) -> bool:
    """Returns whether a pickle is larger than its pixels and has its end; cheap, ``load`` checks everything."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - len(_STOP), 0))
            return size > least and file.read() == _STOP
    except OSError as error:
        raise unreadable(path, error) from None


def _entry(batch: dict[str, Any], key: str, path: Path) -> Any:
    if key not in batch:
        raise DataError(f"{path}: has no {key}, only {', '.join(sorted(batch))}; is it another set's file?")
    return batch[key]


def _images(data: Any, records: int, path: Path) -> np.ndarray:
    expected = (records, int(np.prod(_SHAPE)))
    if not isinstance(data, np.ndarray) or data.shape != expected:
        held = f"{data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path}: data should be uint8 {expected}, not {held}; get the file again")
    return data.reshape(-1, *_SHAPE)


def _labels(values: Any, records: int, classes: int, path: Path) -> np.ndarray:
    if not isinstance(values, list) or len(values) != records or not all(type(value) is int for value in values):
        raise DataError(f"{path}: should hold {records} whole-numbered labels; get the file again")
    if min(values) < 0 or max(values) >= classes:
        raise DataError(f"{path}: labels {min(values)}..{max(values)} are not in 0..{classes - 1}; get the file again")
    return np.array(values, dtype=np.int64)

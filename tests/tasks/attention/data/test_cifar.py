from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exp.data.source import DataError
from exp.tasks.attention.data.cifar import Cifar10, Cifar100


class Tiny100(Cifar100):
    """The reader of CIFAR-100 on files of 300 and 100 rows."""

    records = (300, 100)


class Tiny10(Cifar10):
    """The reader of CIFAR-10 on files of 20 rows."""

    records = (20, 20)


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (count, 3072)).astype(np.uint8)


@pytest.fixture
def hundred(tmp_path: Path, dumps: Callable[[Any], bytes]) -> Path:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for file, count in (("train", 300), ("test", 100)):
        fine = [row % 100 for row in range(count)]
        batch = {
            b"data": rows(count, count),
            b"fine_labels": fine,
            b"coarse_labels": [label // 5 for label in fine],
            b"filenames": [b"%d.png" % row for row in range(count)],
            b"batch_label": b"batch",
        }
        (folder / file).write_bytes(dumps(batch))
    names = {b"fine_label_names": [b"f%d" % n for n in range(100)], b"coarse_label_names": [b"c"] * 20}
    (folder / "meta").write_bytes(dumps(names))
    return folder


@pytest.fixture
def ten(tmp_path: Path, dumps: Callable[[Any], bytes]) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number, file in enumerate([*Cifar10.train_files, Cifar10.test_file]):
        batch = {b"data": rows(20, number), b"labels": [row % 10 for row in range(20)]}
        (folder / file).write_bytes(dumps(batch))
    (folder / "batches.meta").write_bytes(dumps({b"label_names": [b"n%d" % n for n in range(10)]}))
    return folder


def test_cifar100(hundred: Path) -> None:
    source = Tiny100(root=str(hundred.parent), val_fraction=1 / 3)
    parts = source.load()
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (200, 3, 32, 32),
        "val": (100, 3, 32, 32),
        "test": (100, 3, 32, 32),
    }
    assert np.array_equal(parts["test"].images.reshape(100, 3072), rows(100, 100))
    assert sorted(parts["val"].labels) == list(range(100))
    known = {bytes(row): index % 100 for index, row in enumerate(rows(300, 300))}
    for part in (parts["train"], parts["val"]):
        assert [known.pop(bytes(image.ravel())) for image in part.images] == list(part.labels)
    assert not known
    assert source.class_names[:2] == ["f0", "f1"]


def test_coarse_labels(hundred: Path) -> None:
    source = Tiny100(root=str(hundred), val_fraction=0, labels="coarse")
    parts = source.load()
    assert set(parts) == {"train", "test"}
    assert source.num_classes == len(source.class_names) == 20
    assert np.array_equal(parts["test"].labels, np.arange(100) // 5)


def test_cifar10(ten: Path) -> None:
    source = Tiny10(root=str(ten), val_fraction=0.2)
    parts = source.load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "val": 20, "test": 20}
    whole = Tiny10(root=str(ten), val_fraction=0).load()["train"].images
    assert np.array_equal(whole.reshape(100, 3072), np.concatenate([rows(20, number) for number in range(5)]))
    assert source.class_names == [f"n{n}" for n in range(10)]


def test_arrays_can_be_shared_with_torch(hundred: Path) -> None:
    for fraction in (0, 0.5):
        parts = Tiny100(root=str(hundred), val_fraction=fraction).load()
        assert all(part.images.flags.writeable and part.images.flags.c_contiguous for part in parts.values())


def test_fingerprint_follows_the_contents_and_nothing_else(hundred: Path) -> None:
    first = Tiny100(root=str(hundred)).check()
    assert first == Tiny100(root=str(hundred.parent), labels="coarse", val_fraction=0).check()
    assert len(first) == 16
    content = bytearray((hundred / "test").read_bytes())
    content[len(content) // 2] ^= 1
    (hundred / "test").write_bytes(content)
    assert Tiny100(root=str(hundred)).check() != first


@pytest.mark.parametrize("file", ["train", "test", "meta"])
def test_truncated_files_are_named(hundred: Path, file: str) -> None:
    path = hundred / file
    path.write_bytes(path.read_bytes()[:-100])
    source = Tiny100(root=str(hundred), val_fraction=0)
    with pytest.raises(DataError, match=f"{file} is truncated"):
        source.check()
    with pytest.raises(DataError, match=f"{file}: damaged or truncated"):
        source.class_names if file == "meta" else source.load()
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"{file} is truncated"):
        source.check()
    path.unlink()
    with pytest.raises(DataError, match=f"lacks {file}"):
        source.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"fine_labels": [100] * 100}, "not in 0..99"),
        ({b"fine_labels": [-1] * 100}, "not in 0..99"),
        ({b"fine_labels": [0] * 99}, "100 whole-numbered labels"),
        ({b"fine_labels": [b"a"] * 100}, "100 whole-numbered labels"),
        ({b"fine_labels": [True] * 100}, "100 whole-numbered labels"),
        ({b"fine_labels": 3}, "100 whole-numbered labels"),
        ({b"data": rows(99, 0)}, "data should be uint8 (100, 3072), not (99, 3072)"),
        ({b"data": [1, 2]}, "data should be uint8 (100, 3072), not list"),
    ],
)
def test_wrong_contents(hundred: Path, dumps: Callable[[Any], bytes], change: dict[bytes, Any], message: str) -> None:
    batch = {b"data": rows(100, 0), b"fine_labels": [0] * 100} | change
    (hundred / "test").write_bytes(dumps(batch))
    with pytest.raises(DataError) as error:
        Tiny100(root=str(hundred), val_fraction=0).load()
    assert message in str(error.value)
    assert str(hundred / "test") in str(error.value)


def test_another_sets_file_and_names(hundred: Path, dumps: Callable[[Any], bytes]) -> None:
    (hundred / "test").write_bytes(dumps({b"data": rows(100, 0), b"labels": [0] * 100}))
    with pytest.raises(DataError, match="has no fine_labels, only data, labels"):
        Tiny100(root=str(hundred), val_fraction=0).load()
    (hundred / "meta").write_bytes(dumps({b"fine_label_names": [b"a"]}))
    with pytest.raises(DataError, match="should list 100 names"):
        _ = Tiny100(root=str(hundred)).class_names


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="labels=medium: not one of fine, coarse"):
        Cifar100(labels="medium")
    with pytest.raises(ValueError, match="val_fraction=-1.0: has to be at least 0 and below 1"):
        Cifar10(val_fraction=-1)


def test_real_cifar100(real_data: Path) -> None:
    if not (real_data / "cifar-100-python").is_dir():
        pytest.skip(f"no cifar-100-python in {real_data}")
    source = Cifar100(root=str(real_data))
    parts = source.load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 45_000, "val": 5_000, "test": 10_000}
    assert np.array_equal(np.bincount(parts["val"].labels), np.full(100, 50))
    assert source.class_names[0] == "apple"

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exp.data.source import DataError
from exp.tasks.attention.data.digits import Digits


def test_parts() -> None:
    parts = Digits().load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 1222, "val": 216, "test": 359}
    for part in parts.values():
        assert part.images.shape[1:] == Digits().shape
        assert part.images.max() == 255
        assert set(part.labels) == set(range(10))
    assert sum(len(part) for part in parts.values()) == 1797


def test_values_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    parts = Digits(val_fraction=0).load()
    assert set(parts) == {"train", "test"}
    images = np.concatenate([parts["train"].images, parts["test"].images]).reshape(1797, 64)
    labels = np.concatenate([parts["train"].labels, parts["test"].labels])
    expected = np.rint(data * 255 / 16).astype(np.uint8)
    assert sorted(zip(map(bytes, images), labels, strict=True)) == sorted(
        zip(map(bytes, expected), target, strict=True)
    )


def test_validation_part_leaves_the_test_part_alone() -> None:
    few, many = Digits(val_fraction=0.1).load(), Digits(val_fraction=0.4).load()
    assert np.array_equal(few["test"].images, many["test"].images)


def test_larger_images() -> None:
    small, large = Digits().load()["train"], Digits(size=16).load()["train"]
    assert large.images.shape[1:] == (1, 16, 16)
    assert np.array_equal(small.labels, large.labels)
    means = large.images.reshape(-1, 8, 2, 8, 2).mean((2, 4))
    assert np.abs(means - small.images[:, 0]).mean() < 25


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="size=4: has to be at least 8"):
        Digits(size=4)
    with pytest.raises(ValueError, match="val_fraction=1.0: has to be at least 0 and below 1"):
        Digits(val_fraction=1)


def test_check_imports_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys; from exp.tasks.attention.data.digits import Digits; from exp.tasks.attention.data.cifar import Cifar100;"
        "from exp.tasks.attention.data.imagefolder import ImageFolder; print(Digits().check());"
        "bad = {'torch', 'sklearn', 'cv2', 'scipy'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == Digits().check()
    assert len(Digits().check()) == 16


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"1,2,3\n", mtime=0), gzip.compress(b"1,x\n", mtime=0), b""],
    ids=["no gzip", "short", "not a number", "empty"],
)
def test_damaged_file(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(content)
    monkeypatch.setattr(Digits, "_file", staticmethod(lambda: path))
    with pytest.raises(DataError, match="digits.csv.gz"):
        Digits().load()


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        Digits().check()

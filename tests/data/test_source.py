from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exp.data.source import DataError, Source, Split, find_root, refuse_unknown_labels
from exp.tasks.attention.data.cifar import Cifar10, Cifar100
from exp.tasks.attention.data.digits import Digits
from exp.tasks.attention.data.imagefolder import ImageFolder

WANTED = ["pets/train", "pets/test"]


def find(root: Path | None) -> Path:
    return find_root(None if root is None else str(root), WANTED, "PETS", "https://pets.example")


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EXP_DATA", raising=False)
    folder = tmp_path / "pets"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).touch()
    return folder


def test_folder_itself_its_parent_and_another_name(pets: Path) -> None:
    assert find(pets) == pets
    assert find(pets.parent) == pets
    assert find(pets.rename(pets.with_name("mine"))) == pets.with_name("mine")


def test_environment_serves_where_no_root_is_given(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_DATA", str(pets.parent))
    assert find(None) == pets


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ("none", ["no data folder given", "data.root", "EXP_DATA", "pets/train", "https://pets.example"]),
        ("no folder", ["no folder", "nowhere", "https://pets.example"]),
        ("one file", ["lacks test", "https://pets.example"]),
        ("all", ["found no pets/train, pets/test", "https://pets.example"]),
        ("packed", ["unpack pets.tar.gz"]),
    ],
)
def test_missing_data_are_explained_in_one_line(pets: Path, spoil: str, expected: list[str]) -> None:
    root: Path | None = pets.parent
    if spoil == "none":
        root = None
    elif spoil == "no folder":
        root = pets.parent / "nowhere"
    elif spoil == "one file":
        (pets / "test").unlink()
    else:
        pets.rename(pets.parent / "other")
        if spoil == "packed":
            (pets.parent / "pets.tar.gz").touch()
    with pytest.raises(DataError) as error:
        find(root)
    message = str(error.value)
    assert message.startswith("PETS: ")
    assert "\n" not in message
    assert all(part in message for part in expected), message


def test_split_refuses_other_types_and_lengths() -> None:
    images, labels = np.zeros((2, 1, 3, 3), np.uint8), np.zeros(2, np.int64)
    assert len(Split(images, labels)) == 2
    for bad in ((images.astype(np.float32), labels), (images[0], labels), (images, labels[:1]), (images, labels > 0)):
        with pytest.raises(ValueError, match="images|labels"):
            Split(*bad)


def test_sets_meet_the_protocol_and_tell_their_shape_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXP_DATA", raising=False)
    sources: list[Source] = [Digits(), Cifar10(), Cifar100(), Cifar100(labels="coarse"), ImageFolder(num_classes=7)]
    assert [source.num_classes for source in sources] == [10, 10, 100, 20, 7]
    assert [source.shape[0] for source in sources] == [1, 3, 3, 3, 3]
    for source in sources[1:]:
        with pytest.raises(DataError, match="no data folder given"):
            source.check()
        with pytest.raises(DataError, match="no data folder given"):
            source.load()


@pytest.mark.parametrize(("labels", "said"), [([1, 5], "train: labels 1 to 5, but 5 classes"), ([-1, 2], "-1 to 2")])
def test_labels_that_number_no_class_are_named(labels: list[int], said: str) -> None:
    parts = {"train": Split(np.zeros((2, 1, 3, 3), np.uint8), np.array(labels))}
    with pytest.raises(DataError, match=said):
        refuse_unknown_labels(parts, 5)
    refuse_unknown_labels({"train": Split(np.zeros((2, 1, 3, 3), np.uint8), np.array([0, 4]))}, 5)

"""Contents decide what data are; size, time and inode only whether they have to be read again."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from exp.commands.front import run_verb
from exp.data import fingerprint
from exp.data.fingerprint import TREE_LENGTH, of_tree, reading_anew
from exp.data.source import DataError

LONG_AGO = 1_600_000_000_000_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1", "a/2", "b/1"):
        write(tmp_path / "set" / name, name.encode())
    return tmp_path / "set"


NAMES = ["a/1", "a/2", "b/1"]


def write(path: Path, data: bytes, at: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(at, at))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, in order."""
    read: list[str] = []
    contents = fingerprint._contents

    def counted(path: Path | str) -> bytes:
        read.append(Path(path).name)
        return contents(path)

    monkeypatch.setattr(fingerprint, "_contents", counted)
    return read


def test_another_content_of_equal_size_and_time_is_another_set(root: Path) -> None:
    before = of_tree(root, NAMES)
    assert len(before) == TREE_LENGTH
    write(root / "a/2", b"A/2")
    assert of_tree(root, NAMES) != before
    write(root / "a/2", b"a/2")
    assert of_tree(root, NAMES) == before


def test_where_the_set_lies_does_not_matter(root: Path) -> None:
    before = of_tree(root, NAMES)
    assert of_tree(root.rename(root.with_name("moved")), NAMES) == before


def test_two_files_swapped_are_another_set(root: Path) -> None:
    before = of_tree(root, NAMES)
    (root / "a").rename(root / "c")
    (root / "b").rename(root / "a")
    (root / "c").rename(root / "b")
    (root / "b/2").rename(root / "a/2")
    assert of_tree(root, NAMES) != before


def test_files_are_read_once_and_again_when_one_changes(root: Path, reads: list[str]) -> None:
    for _ in range(3):
        of_tree(root, NAMES)
    assert sorted(reads) == ["1", "1", "2"]
    write(root / "b/1", b"B/1")
    of_tree(root, NAMES)
    assert len(reads) == 6


def test_a_young_file_is_read_each_time_since_its_time_says_little(root: Path, reads: list[str]) -> None:
    (root / "a/1").touch()
    of_tree(root, NAMES)
    of_tree(root, NAMES)
    assert len(reads) == 6


def test_all_is_read_again_on_request(root: Path, reads: list[str]) -> None:
    before = of_tree(root, NAMES)
    with reading_anew():
        assert of_tree(root, NAMES) == before
    assert len(reads) == 6
    of_tree(root, NAMES)
    assert len(reads) == 6


def test_what_cannot_be_used_is_looked_at_until_it_can(root: Path) -> None:
    def refuse() -> None:
        raise DataError("no lanes")

    for _ in range(2):
        with pytest.raises(DataError, match="no lanes"):
            of_tree(root, NAMES, look=("lanes", refuse))
    looked: list[int] = []
    for _ in range(2):
        of_tree(root, NAMES, look=("lanes", lambda: looked.append(1)))
    assert looked == [1]


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "a/2").unlink()
    with pytest.raises(DataError, match=r"set/a/2 is listed but not there$"):
        of_tree(root, NAMES, missing="is listed but not there")


def test_a_damaged_note_is_made_again(root: Path, cache: Path) -> None:
    before = of_tree(root, NAMES)
    for note in (cache / "known").iterdir():
        note.write_text('"x"')
    assert of_tree(root, NAMES) == before


def test_verify_sees_what_sizes_and_times_hide(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(10):
                path = tmp_path / "set" / part / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((4, 4, 3), 10 * number, np.uint8))
                os.utime(path, ns=(LONG_AGO, LONG_AGO))
    words = ["imagefolder", f"root={tmp_path / 'set'}", "size=8"]
    assert run_verb("data", [*words, "--verify"]) == 0
    assert "contents     as noted" in capsys.readouterr().out
    for note in (cache / "known").iterdir():  # as if a disk had changed a byte and nothing else
        note.write_text('{"fingerprint": "0123456789abcdef0123456789abcdef"}')
    assert run_verb("data", [*words, "--verify"]) == 1
    assert "contents     changed, though sizes and times are the same" in capsys.readouterr().out
    assert run_verb("data", [*words, "--verify"]) == 0

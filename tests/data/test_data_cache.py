from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from exp.data.cache import cache_folder, cached_array
from exp.data.source import DataError

SHAPE = (4, 1, 2, 2)


def fill(array: np.ndarray) -> None:
    array[:] = np.arange(16, dtype=np.uint8).reshape(SHAPE)


def unused(array: np.ndarray) -> None:
    raise AssertionError("made again")


def test_made_once_then_reused(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.npy"
    for maker in (fill, unused):
        array = cached_array(path, SHAPE, maker)
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        assert np.array_equal(array.ravel(), np.arange(16))
    assert np.array_equal(np.load(path), array)


@pytest.mark.parametrize("spoil", ["truncated", "empty", "shape", "type", "rubbish"])
def test_a_damaged_file_is_made_again(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "a.npy"
    if spoil in ("shape", "type"):
        np.save(path, np.zeros((1, 1, 2, 2), np.uint8) if spoil == "shape" else np.zeros(SHAPE, np.int16))
    else:
        cached_array(path, SHAPE, fill)
        content = path.read_bytes()
        path.write_bytes({"truncated": content[:-3], "empty": b"", "rubbish": b"x" * 200}[spoil])
    assert np.array_equal(cached_array(path, SHAPE, fill).ravel(), np.arange(16))


def test_nothing_is_left_when_making_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def fail(array: np.ndarray) -> None:
        array[0] = 1
        raise DataError("a broken image")

    (tmp_path / "a.npy.part").write_bytes(b"left by a killed run")
    with pytest.raises(DataError, match="a broken image"):
        cached_array(path, SHAPE, fail)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npy.lock"]
    assert np.array_equal(cached_array(path, SHAPE, fill).ravel(), np.arange(16))


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    started, go_on, made = threading.Event(), threading.Event(), []

    def slow(array: np.ndarray) -> None:
        made.append(1)
        started.set()
        assert go_on.wait(10)
        fill(array)

    arrays: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: arrays.append(cached_array(path, SHAPE, slow))) for _ in range(2)]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    assert not path.exists()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(arrays) == 2
    assert len(made) == 1


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left on device.*EXP_CACHE"):
        cached_array(tmp_path / "a.npy", SHAPE, fill)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npy.lock"]


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("EXP_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "exp"
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cache cannot be written"):
        cached_array(tmp_path / "file" / "a.npy", SHAPE, fill)

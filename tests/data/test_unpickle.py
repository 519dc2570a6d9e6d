from __future__ import annotations

import builtins
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exp.data.source import DataError
from exp.data.unpickle import read_pickle

DATA = np.arange(24, dtype=np.uint8).reshape(2, 12)
BATCH = {b"data": DATA, b"labels": [3, 70], b"batch_label": b"testing batch 1 of 1"}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_reads_both_flavours(tmp_path: Path, dumps: Callable[[Any], bytes]) -> None:
    value = read_pickle(written(tmp_path / "batch", dumps(BATCH)))
    assert np.array_equal(value.pop("data"), DATA)
    assert value == {"labels": [3, 70], "batch_label": b"testing batch 1 of 1"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL))
def test_reads_other_protocols(tmp_path: Path, protocol: int) -> None:
    batch = {"labels": [1, 2], "data": np.asfortranarray(DATA)}
    value = read_pickle(written(tmp_path / "batch", pickle.dumps(batch, protocol)))
    assert np.array_equal(value["data"], DATA)
    assert value["labels"] == [1, 2]


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "named"), [(os.system, "posix.system"), (builtins.eval, "eval"), (getattr, "getattr")]
)
def test_refuses_calls_and_runs_nothing(
    tmp_path: Path, function: Callable[..., Any], named: str, protocol: int
) -> None:
    marker = tmp_path / "marker"
    arguments = {
        "posix.system": (f"touch {marker}",),
        "eval": (f"open({str(marker)!r}, 'w')",),
        "getattr": (marker, "touch"),
    }[named]
    content = pickle.dumps({"data": _Call(function, *arguments)}, protocol)
    path = written(tmp_path / "batch", content)
    with pytest.raises(DataError, match="refused") as error:
        read_pickle(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert named in str(error.value) or "pathlib" in str(error.value)
    assert not marker.exists()
    if named == "posix.system":  # the payload is a working one
        pickle.loads(content)
        assert marker.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([{"a": 1}, None], dtype=object),
        np.zeros(3, np.float32),
        np.zeros(3, np.int8),
        np.zeros(2, [("a", "u1")]),
        np.float64(1),
        OrderedDict(a=1),
        {1, 2},
        complex(1, 2),
        print,
    ],
    ids=lambda value: type(value).__name__ + str(getattr(value, "dtype", "")),
)
def test_refuses_other_types(tmp_path: Path, value: Any) -> None:
    with pytest.raises(DataError, match="refused"):
        read_pickle(written(tmp_path / "batch", pickle.dumps({"data": value}, 2)))


def test_a_file_cannot_change_the_readers_own_names(tmp_path: Path) -> None:
    for name in (b"numpy\ndtype", b"_codecs\nencode", b"numpy.core.multiarray\n_reconstruct"):
        content = b"\x80\x02c" + name + b"\n}U\x08__call__K\x01sb."
        with pytest.raises(DataError, match="refused"):
            read_pickle(written(tmp_path / "batch", content))


def test_refuses_other_codecs(tmp_path: Path) -> None:
    content = b"\x80\x02}U\x01ac_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tRs."
    with pytest.raises(DataError, match="encoding by 'rot13'"):
        read_pickle(written(tmp_path / "batch", content))


def test_every_truncation_is_damage(tmp_path: Path, dumps: Callable[[Any], bytes]) -> None:
    content = dumps(BATCH)
    for length in range(len(content)):
        path = written(tmp_path / "batch", content[:length])
        with pytest.raises(DataError) as error:
            read_pickle(path)
        assert str(path) in str(error.value)


def test_flipped_bytes_give_a_value_or_a_data_error(tmp_path: Path, dumps: Callable[[Any], bytes]) -> None:
    content = dumps(BATCH)
    random = np.random.RandomState(0)
    for place in range(2, len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << random.randint(8)
        try:
            assert isinstance(read_pickle(written(tmp_path / "batch", bytes(changed))), dict)
        except DataError:
            continue


def test_wrong_array_size_other_values_and_missing_files(tmp_path: Path) -> None:
    content = pickle.dumps({"data": DATA}, 3)
    assert b"K\x02K\x0c" in content
    with pytest.raises(DataError, match="do not fill"):
        read_pickle(written(tmp_path / "batch", content.replace(b"K\x02K\x0c", b"K\x02K\x0d")))
    with pytest.raises(DataError, match="not a dictionary"):
        read_pickle(written(tmp_path / "batch", pickle.dumps([1])))
    with pytest.raises(DataError, match="cannot be read"):
        read_pickle(tmp_path / "none")

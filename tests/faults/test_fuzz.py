"""Every reader of files on files that were cut, flipped, re-encoded or made up: read, or refused in one line."""

import json
import pickle
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.data.decode import read_image
from exp.data.source import DataError
from exp.data.unpickle import read_pickle
from exp.tasks.fer.data.fer2013 import FER2013
from exp.tasks.gait.data.casia_b import CasiaB, WalkFiles
from exp.tasks.lane.data.culane import read_list
from exp.tasks.lane.data.lines import read_lines
from exp.tasks.lane.data.tusimple import read_labels
from tests.tasks.fer.data.fer_files import faces, write_csv

WORDS = [
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"99999999999999999999",
    b"../../x",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"',
]


def mutations(data: bytes, flips: int) -> Iterator[bytes]:
    """Cuts at every hundredth, flipped bits, other line ends and encodings, doubled and missing stretches."""
    yield from (data[: len(data) * share // 100] for share in range(100))
    chance = random.Random(0)
    for _ in range(flips):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 1, 8))):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)
    for word in WORDS:
        for _ in range(3):
            at = chance.randrange(len(data))
            yield data[:at] + word + data[at:]
            yield data[:at] + word + data[at + len(word) :]
    yield data + data
    yield data[::-1]
    yield data[len(data) // 2 :]
    yield data.replace(b"\n", b"\r\n")
    yield data.replace(b"\n", b"\r")
    yield b"\xef\xbb\xbf" + data
    yield data.decode("latin-1").encode("utf-16")
    yield data.replace(b"\n", b"\n\n")
    yield data.replace(b" ", b"\t")


def encoded(ending: str, *options: int) -> bytes:
    small = np.random.RandomState(0).randint(0, 256, (6, 6, 3)).astype(np.uint8)
    done, data = cv2.imencode(ending, cv2.resize(small, (40, 30)), list(options))
    assert done
    return data.tobytes()


def image(path: Path) -> np.ndarray:
    return read_image(path, 16)


def walk(path: Path) -> np.ndarray:
    files = WalkFiles("001", "nm-01", "000", path.parent, path, ())
    return CasiaB(root=str(path.parent), size=16)._read(files)


def face_table(path: Path) -> Any:
    return FER2013(root=str(path.parent), counts="any").load()


def csv() -> bytes:
    images, labels = faces()
    with tempfile.TemporaryDirectory() as folder:
        return write_csv(Path(folder) / "fer2013.csv", images, labels).read_bytes()


FRAME = {"raw_file": "clips/a/20.jpg", "lanes": [[-2, 30, 32], [5, 6, 7]], "h_samples": [30, 40, 50]}
READERS: dict[str, tuple[str, Callable[[Path], Any], Callable[[], bytes]]] = {
    "jpeg": ("a.jpg", image, lambda: encoded(".jpg")),
    "progressive jpeg": ("a.jpg", image, lambda: encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "png": ("a.png", image, lambda: encoded(".png")),
    "bmp": ("a.bmp", image, lambda: encoded(".bmp")),
    "webp": ("a.webp", image, lambda: encoded(".webp")),
    "tiff": ("a.tif", image, lambda: encoded(".tif")),
    "ppm": ("a.ppm", image, lambda: encoded(".ppm")),
    "pickle": ("data", read_pickle, lambda: pickle.dumps({"data": np.arange(40, dtype=np.uint8), "labels": [1, 2]}, 2)),
    "walk": ("000.pkl", walk, lambda: pickle.dumps(np.full((3, 16, 16), 255, np.uint8), 4)),
    "csv": ("fer2013.csv", face_table, csv),
    "list": (
        "train.txt",
        read_list,
        lambda: b"".join(b"/driver_1/%05d.jpg /mask/%d.png 1 0\n" % (n, n) for n in range(9)),
    ),
    "lines": ("a.lines.txt", read_lines, lambda: b"1.5 590 2.5 580 3 570\n10 590 11 580\n"),
    "labels": (
        "label.json",
        read_labels,
        lambda: b"".join(json.dumps(FRAME | {"raw_file": f"{n}.jpg"}).encode() + b"\n" for n in range(3)),
    ),
}


@pytest.mark.parametrize("flips", [20, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", READERS)
def test_read_or_refused_in_one_line(
    kind: str, flips: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    name, read, made = READERS[kind]
    data = made()
    path = tmp_path / "set" / name
    path.parent.mkdir()
    path.write_bytes(data)
    read(path)
    counts = {"tried": 0, "read": 0, "refused": 0}
    for mutated in mutations(data, flips if kind != "csv" else flips // 10):
        path.write_bytes(mutated)
        counts["tried"] += 1
        try:
            read(path)
            counts["read"] += 1
        except DataError as error:
            counts["refused"] += 1
            text = str(error)
            assert len(text.splitlines()) == 1, text
            assert len(text) < 1000, text
            assert name in text
            text.encode()
    with capsys.disabled():
        print(f"\n{kind}: {counts}", end=" ")
    assert counts["refused"]

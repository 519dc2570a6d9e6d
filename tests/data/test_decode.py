"""Damaged, cut and oversized image files are refused with their name."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from exp.data.decode import read_grey, read_image
from exp.data.source import DataError


def photo(grey_below: int | None = None) -> np.ndarray:
    small = np.random.RandomState(0).randint(0, 256, (10, 10, 3)).astype(np.uint8)
    image = cv2.resize(small, (150, 130))
    if grey_below is not None:
        image[grey_below:] = 128
    return image


def jpeg(image: np.ndarray, progressive: bool) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)])
    assert done
    return data.tobytes()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.98])
@pytest.mark.parametrize("grey_below", [None, 65])
def test_half_a_jpeg_with_an_end_mark_is_truncated(
    progressive: bool, share: float, grey_below: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    data = jpeg(photo(grey_below), progressive)
    path.write_bytes(data)
    assert read_image(path, 64).shape == (3, 64, 64)
    path.write_bytes(data[: int(len(data) * share)] + b"\xff\xd9")
    with pytest.raises(DataError, match=r"a.jpg: (truncated JPEG|not a readable)"):
        read_grey(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_grey_jpeg_is_whole(progressive: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(np.full((40, 50, 3), 128, np.uint8), progressive))
    assert (read_grey(path) == 128).all()


def bomb(ending: str, side: int) -> bytes:
    """A small file that claims an image of side x side pixels."""
    if ending == ".png":
        head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        body = b"IDAT" + zlib.compress(bytes(1000))
        chunks = (head, body, b"IEND")
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
        )
    if ending == ".bmp":
        return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, side, -side, 1, 24, 0, 0, 0, 0, 0, 0)
    data = bytearray(jpeg(photo(), False))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", min(side, 65500), min(side, 65500))
    return bytes(data)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".jpg"])
def test_a_pixel_bomb_is_refused_by_its_size(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(bomb(ending, 100_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match=r"pixels are more than 268,435,456"):
        read_image(path, 64)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="a.png: an empty file"):
        read_image(tmp_path / "a.png", 8)

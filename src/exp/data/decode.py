"""One image file to one uint8 array of a fixed size."""

import os
from pathlib import Path

import numpy as np

from exp.data.source import DataError, unreadable

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
MOST_PIXELS = 1 << 28
"""Pixels of the largest image that is read; a small file can claim more than memory holds."""
_MOST_BYTES = 1 << 30
_FILL = bytes(range(1, 129))  # what no JPEG's end holds, and no marker in it
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_PNG = b"\x89PNG"
_PNG_END = b"IEND\xaeB`\x82"
_BMP = b"BM"
_GIF = b"GIF8"

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))  # for formats whose header is not read here


def read_image(path: Path, size: int) -> np.ndarray:
    """Reads an image, cuts out the centre square and resizes it to ``size``.

    Grey images get three equal channels, transparency is dropped, a camera's rotation note is ignored (as PIL does).
    Large JPEGs are decoded at a half, a quarter or an eighth where that still covers ``size``.

    Args:
        path: The file.
        size: Side of the result in pixels.

    Returns:
        uint8 (3, size, size), RGB.

    Raises:
        DataError: The file cannot be read, or is damaged or truncated.
    """
    import cv2

    data, header = _whole(path)
    flags = _reduced(min(header), size) if header is not None else cv2.IMREAD_COLOR
    image = _decoded(path, data, flags)
    return np.ascontiguousarray(_square(image, size)[:, :, ::-1].transpose(2, 0, 1))


def read_grey(path: Path) -> np.ndarray:
    """Reads an image in grey and in its own size; colours are weighted as the eye does, transparency is dropped.

    Returns:
        uint8 (H, W).

    Raises:
        DataError: The file cannot be read, or is damaged or truncated.
    """
    import cv2

    return _decoded(path, _whole(path)[0], cv2.IMREAD_GRAYSCALE)


def read_colour(path: Path) -> np.ndarray:
    """Reads an image in colour and in its own size; grey images get three equal channels, transparency is dropped.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: The file cannot be read, or is damaged or truncated.
    """
    import cv2

    return np.ascontiguousarray(_decoded(path, _whole(path)[0], cv2.IMREAD_COLOR)[..., ::-1])


def _whole(path: Path) -> tuple[bytes, tuple[int, int] | None]:
    """Returns a file's bytes, checked for being whole and not too large, and the height and width of a JPEG."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: {path.stat().st_size / 1e9:.1f} GB are no image; remove it")
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    if not data:
        raise DataError(f"{path}: an empty file; get it again or remove it")
    header = _jpeg_header(data) if data.startswith(_JPEG) else None
    height, width = header[:2] if header else _size(data)
    if height * width > MOST_PIXELS:
        raise DataError(f"{path}: {width}x{height} pixels are more than {MOST_PIXELS:,}; remove it or make it smaller")
    if header is not None:
        # OpenCV fills the rest of a truncated JPEG with grey and only prints a warning.
        if data.rfind(_JPEG_END, header[2]) < 0:  # from the end, where it is
            raise DataError(f"{path}: truncated JPEG; get the file again or remove it")
        return data, (height, width)
    if data.startswith(_PNG) and _PNG_END not in data:
        raise DataError(f"{path}: truncated PNG; get the file again or remove it")
    return data, None


def _size(data: bytes) -> tuple[int, int]:
    """Returns the height and width that a PNG's, BMP's or GIF's header claims, zeros for other formats."""
    if data.startswith(_PNG):
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data.startswith(_BMP):
        height, width = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (22, 18))
        return abs(height), abs(width)
    if data.startswith(_GIF):
        return int.from_bytes(data[8:10], "little"), int.from_bytes(data[6:8], "little")
    return 0, 0


def _decoded(path: Path, data: bytes, flags: int) -> np.ndarray:
    image = _decode(data, flags)
    if image is None:
        raise DataError(f"{path}: not a readable image; get the file again or remove it")
    suspect = data.startswith(_JPEG) and (_ends_grey(image) or _progressive(data))
    if suspect and not _complete(data, image, flags):
        raise DataError(f"{path}: truncated JPEG, with an end mark all the same; get the file again or remove it")
    return image


def _decode(data: bytes, flags: int) -> np.ndarray | None:
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def _ends_grey(image: np.ndarray) -> bool:
    """Returns whether the lower right corner is of the grey that libjpeg puts where data are missing."""
    return bool((image[-1, -1] == 128).all())


def _progressive(data: bytes) -> bool:
    """Returns whether a JPEG is sent in passes over the whole image: cut short, it is blurred and nowhere grey."""
    header = _jpeg_header(data)
    return header is not None and header[3]


def _complete(data: bytes, image: np.ndarray, flags: int) -> bool:
    """Returns whether a JPEG's data reach its last pixel: if so, more data before the end mark change nothing."""
    end = data.rfind(_JPEG_END)
    longer = _decode(data[:end] + _FILL + data[end:], flags)
    return longer is not None and np.array_equal(longer, image)


def _square(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the centre square of an image (H, W, 3), resized to (size, size, 3)."""
    import cv2

    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    image = image[top : top + short, left : left + short]
    if short == size:
        return image
    # Up to a half, bilinear still reads every pixel, in a seventh of the time that exact areas take.
    how = cv2.INTER_AREA if short > 2 * size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=how)


def _reduced(short: int, size: int) -> int:
    """Returns OpenCV's flag for the strongest reduction that leaves the short side at least ``size``."""
    import cv2

    steps = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
    return next((flag for factor, flag in steps if short // factor >= size), cv2.IMREAD_COLOR)


def _jpeg_header(data: bytes) -> tuple[int, int, int, bool] | None:
    """Returns height, width, the place of the first scan and whether there are several passes of a JPEG.

    None where its segments are not as usual.
    """
    height = width = 0
    progressive = False
    at = len(_JPEG)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:  # the scan starts
            return (height, width, at, progressive) if height and width else None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, of whatever coding
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            progressive = bool(marker & 2)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

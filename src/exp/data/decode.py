"""One image file to one uint8 array of a fixed size."""

from pathlib import Path

import numpy as np

from exp.data.source import DataError, unreadable

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_PNG = b"\x89PNG"
_PNG_END = b"IEND\xaeB`\x82"


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
    """Returns a file's bytes, checked for being whole, and the height and width of a JPEG."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    if data.startswith(_JPEG):
        header = _jpeg_header(data)
        if header is not None:
            height, width, scan = header
            # OpenCV fills the rest of a truncated JPEG with grey and only prints a warning.
            if data.rfind(_JPEG_END, scan) < 0:  # from the end, where it is
                raise DataError(f"{path}: truncated JPEG; get the file again or remove it")
            return data, (height, width)
    elif data.startswith(_PNG) and _PNG_END not in data:
        raise DataError(f"{path}: truncated PNG; get the file again or remove it")
    return data, None


def _decoded(path: Path, data: bytes, flags: int) -> np.ndarray:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path}: not a readable image; get the file again or remove it")
    return image


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


def _jpeg_header(data: bytes) -> tuple[int, int, int] | None:
    """Returns height, width and the place of the first scan of a JPEG, or None where its segments are not as usual."""
    height = width = 0
    at = len(_JPEG)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA:  # the scan starts
            return (height, width, at) if height and width else None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, of whatever coding
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

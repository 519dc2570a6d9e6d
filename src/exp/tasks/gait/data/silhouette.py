"""Alignment of raw silhouettes: full height, centred on the middle of the mass.

Source: the pretreatment of CASIA-B that GaitSet (Chao et al., AAAI 2019) and OpenGait share.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exp.data.decode import read_grey

_LOSSY = (".jpg", ".jpeg", ".webp")
LEAST_MASS = 10_000
"""Sum of pixel values up to which a frame counts as empty."""


def read_silhouette(path: Path) -> np.ndarray:
    """Returns a silhouette's image, uint8 (H, W) of 0..255.

    What a lossy format has blurred is cut at half again, since a person's outline ends where a row is all black.

    Raises:
        DataError: The file is missing or damaged.
    """
    image = read_grey(path)
    if path.suffix.lower() in _LOSSY:
        return np.where(image > 127, np.uint8(255), np.uint8(0))
    return spread(image)


def spread(frames: np.ndarray) -> np.ndarray:
    """Returns silhouettes of 0..255: those of 0 and 1 are made white on black."""
    return frames * np.uint8(255) if frames.size and frames.max() == 1 else frames


def aligned(image: np.ndarray, side: int) -> np.ndarray | None:
    """Cuts a person out of a frame.

    Rows are cut to the silhouette and scaled to ``side``, the aspect kept; the column at which half of the mass is
    passed becomes the middle of ``side`` columns, zeros beyond the frame's border.

    Args:
        image: uint8 (H, W), 0..255.
        side: Rows and columns of the result.

    Returns:
        uint8 (side, side) with grey edges, or None for a frame without a person.
    """
    import cv2

    if int(image.sum()) <= LEAST_MASS:
        return None
    rows = np.flatnonzero(image.any(axis=1))
    image = image[rows[0] : rows[-1] + 1]
    width = max(1, int(image.shape[1] * side / image.shape[0]))
    image = cv2.resize(image, (width, side), interpolation=cv2.INTER_CUBIC)
    mass = np.cumsum(image.sum(axis=0, dtype=np.float64))
    middle = int(np.argmax(mass > mass[-1] / 2))
    left = middle - side // 2
    result = np.zeros((side, side), dtype=np.uint8)
    first, last = max(left, 0), min(left + side, width)
    result[:, first - left : last - left] = image[:, first:last]
    return result


def resized(frames: np.ndarray, side: int) -> np.ndarray:
    """Returns frames, uint8 (T, S, S), as (T, side, side): area averages where smaller, else interpolated."""
    import cv2

    if frames.shape[1:] == (side, side):
        return frames
    how = cv2.INTER_AREA if frames.shape[1] > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (side, side), interpolation=how) for frame in frames])

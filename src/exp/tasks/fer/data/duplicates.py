"""Copies of an image in another part of a set: exact ones, and nearly equal ones, also mirrored."""

import numpy as np

_CELLS = 12  # side of the small pictures by which candidates are looked for
_CHUNK = 1024  # later images compared at a time
_CANDIDATE = 0.93  # correlation of the small pictures above which the large ones are compared


def exact(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Returns which later images equal an earlier one pixel by pixel.

    Args:
        earlier: uint8 (N, ...).
        later: uint8 (M, ...), images of the same shape.

    Returns:
        bool (M,), true for a copy.
    """
    return np.isin(_rows(later), _rows(earlier))


def near(earlier: np.ndarray, later: np.ndarray, threshold: float = 0.93) -> np.ndarray:
    """Returns which later images equal an earlier one but for brightness, contrast, mirroring and small changes.

    Two images are near where the correlation of their pixels is at least ``threshold``. Candidates are those whose
    pictures reduced to 12x12 correlate; the best candidate of each image, as it is and mirrored, is compared in full.

    Args:
        earlier: uint8 (N, H, W), H and W multiples of 12.
        later: uint8 (M, H, W).
        threshold: Least correlation.

    Returns:
        bool (M,), true for a near copy; exact copies are among them unless the image is of one grey.

    Raises:
        ValueError: A side is no multiple of 12.
    """
    copies = np.zeros(len(later), dtype=bool)
    if not len(earlier) or not len(later):
        return copies
    known = _standard(_reduced(earlier))
    for start in range(0, len(later), _CHUNK):
        part = later[start : start + _CHUNK]
        for seen in (part, part[:, :, ::-1]):
            likeness = _standard(_reduced(seen)) @ known.T
            best = likeness.argmax(1)
            rows = np.flatnonzero(likeness[np.arange(len(part)), best] >= _CANDIDATE)
            close = _standard(seen[rows]) * _standard(earlier[best[rows]])
            copies[start + rows] |= close.sum(1) >= threshold
    return copies


def _rows(images: np.ndarray) -> np.ndarray:
    """Returns each image as one opaque value that can be sorted."""
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    return flat.view(np.dtype((np.void, flat.shape[1]))).ravel()


def _reduced(images: np.ndarray) -> np.ndarray:
    """Returns images (N, H, W) as means of rectangles, float32 (N, 12, 12)."""
    n, height, width = images.shape
    if height % _CELLS or width % _CELLS:
        raise ValueError(f"sides have to be multiples of {_CELLS}, not {height}x{width}")
    cells = images.reshape(n, _CELLS, height // _CELLS, _CELLS, width // _CELLS)
    return cells.mean((2, 4), dtype=np.float32)


def _standard(images: np.ndarray) -> np.ndarray:
    """Returns images (N, H, W) as float32 (N, H * W) of mean 0 and length 1; an image of one grey becomes zeros."""
    flat = images.reshape(len(images), images.shape[1] * images.shape[2]).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 1e-3, length, np.inf)

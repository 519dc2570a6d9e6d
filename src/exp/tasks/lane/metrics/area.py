"""The area of a lane in CULane's score: a natural cubic spline drawn as a line 30 pixels wide.

The official evaluator draws every lane anew for every pair, a segment at a time. A segment's place only shifts its
pixels, so each kind of segment is drawn once by OpenCV and kept as the first and last column of each row. A lane that
never turns back in y then has a single run of columns in each row, from the least to the greatest of its segments', and
an intersection is a sum over rows. Lanes that do turn back are drawn. Both are the official pixels, bit for bit.

Source: XingangPan/SCNN, tools/lane_evaluation (natural spline over chord length, 50 sub-steps, rounded points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

SUB_STEPS = 50
LINE_WIDTH = 30
_LONGEST = 4  # longest step in pixels, in x or y, that is taken from the table
_NONE = 1 << 30


@dataclass(frozen=True)
class Area:
    """Pixels of a lane in an image.

    Attributes:
        first: int32 (height,), first column of each row; above ``last`` where the row has none.
        last: int32 (height,), last column of each row.
        mask: uint8 (height, width) where a row has more than one run of columns, else None.
        size: Number of pixels.
    """

    first: np.ndarray
    last: np.ndarray
    mask: np.ndarray | None
    size: int

    def drawn(self, width: int) -> np.ndarray:
        """Returns the area as a uint8 (height, width) mask of zeros and ones."""
        if self.mask is not None:
            return self.mask
        columns = np.arange(width)
        return ((columns >= self.first[:, None]) & (columns <= self.last[:, None])).astype(np.uint8)


def spline_points(lane: np.ndarray) -> np.ndarray:
    """Interpolates a lane as the official evaluator does.

    Args:
        lane: float32 (points, 2) of (x, y), at least two points and none twice in succession.

    Returns:
        int32 (n, 2) pixels: 50 for each segment and the last point; the two points themselves where there are no more.
    """
    if len(lane) == 2:
        return np.rint(lane).astype(np.int32)
    points = lane.astype(np.float64)
    steps = np.diff(lane, axis=0).astype(np.float64)  # the evaluator subtracts in single precision
    lengths = np.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2)
    curvature = _second_derivatives(steps, lengths)
    h = lengths[:, None]
    linear = steps / h - (2 * h * curvature[:-1] + h * curvature[1:]) / 6
    square = curvature[:-1] / 2
    cubic = np.diff(curvature, axis=0) / (6 * h)
    t = (lengths / SUB_STEPS)[:, None, None] * np.arange(SUB_STEPS)[None, :, None]
    between = points[:-1, None] + linear[:, None] * t + square[:, None] * t**2 + cubic[:, None] * t**3
    dense = np.concatenate([between.reshape(-1, 2), points[-1:]]).astype(np.float32)
    return np.rint(dense).astype(np.int32)


def _second_derivatives(steps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the second derivatives (points, 2) of the natural spline: 0 at the ends, a tridiagonal system between."""
    right = 6 * np.diff(steps / lengths[:, None], axis=0)
    h = lengths.tolist()
    upper: list[float] = []
    solved: list[tuple[float, float]] = []
    for i, (dx, dy) in enumerate(right.tolist()):
        pivot = 2 * (h[i] + h[i + 1])
        if i:
            pivot -= h[i] * upper[-1]
            dx -= h[i] * solved[-1][0]
            dy -= h[i] * solved[-1][1]
        upper.append(h[i + 1] / pivot)
        solved.append((dx / pivot, dy / pivot))
    curvature = np.zeros((len(lengths) + 1, 2))
    x, y = 0.0, 0.0
    for i in range(len(solved) - 1, -1, -1):
        x, y = solved[i][0] - upper[i] * x, solved[i][1] - upper[i] * y
        curvature[i + 1] = x, y
    return curvature


def distinct(lane: np.ndarray) -> np.ndarray:
    """Returns a lane without the points that repeat the point before, for which no spline is defined."""
    if len(lane) < 2:
        return lane
    return lane[np.concatenate([[True], (np.diff(lane, axis=0) != 0).any(1)])]


def area(lane: np.ndarray, height: int, width: int) -> Area | None:
    """Returns the pixels of a lane, or None for fewer than two distinct points, which match nothing.

    Args:
        lane: float32 (points, 2) of (x, y).
        height: Rows of the image.
        width: Columns of the image.
    """
    lane = distinct(lane)
    if len(lane) < 2:
        return None
    pixels = spline_points(lane)
    moved = np.concatenate([[True], (np.diff(pixels, axis=0) != 0).any(1)])
    pixels = pixels[moved]
    steps = np.diff(pixels, axis=0)
    falls = steps[:, 1]
    # Where y never turns back, segments that meet a row follow one another, and neighbours share a dot that meets it
    # too (no segment reaches further up or down than its two dots), so the row's columns are one run.
    forward = len(pixels) > 1 and bool((falls <= 0).all() or (falls >= 0).all())
    if forward and int(abs(steps).max()) <= _LONGEST:
        tabled = _from_table(pixels[:-1], steps, height, width)
        if tabled is not None:
            return tabled
    return _from_drawing(pixels, height, width)


def _from_table(starts: np.ndarray, steps: np.ndarray, height: int, width: int) -> Area | None:
    """Returns the union of the lane's segments; None where one of them has a row of several runs."""
    first_of, last_of, ragged = _table()
    reach = first_of.shape[1] // 2
    codes = (steps[:, 1] + _LONGEST) * (2 * _LONGEST + 1) + steps[:, 0] + _LONGEST
    missing = np.unique(codes[last_of[codes, reach] == -_NONE])
    for code in missing.tolist():
        _draw_kind(code, first_of, last_of, ragged)
    if ragged[codes].any():
        return None
    top = int(starts[:, 1].min()) - reach
    rows = int(starts[:, 1].max()) + reach + 1 - top
    first = np.full(rows, _NONE, dtype=np.int32)
    last = np.full(rows, -_NONE, dtype=np.int32)
    at = (starts[:, 1, None] - top - reach + np.arange(2 * reach + 1)).ravel()
    np.minimum.at(first, at, (starts[:, 0, None] + first_of[codes]).ravel())
    np.maximum.at(last, at, (starts[:, 0, None] + last_of[codes]).ravel())
    low = np.full(height, _NONE, dtype=np.int32)
    high = np.full(height, -_NONE, dtype=np.int32)
    begin, end = max(0, top), min(height, top + rows)
    if begin < end:
        low[begin:end] = first[begin - top : end - top]
        high[begin:end] = last[begin - top : end - top]
    low = np.maximum(low, 0)
    high = np.minimum(high, width - 1)
    return Area(low, high, None, int(np.maximum(high - low + 1, 0).sum()))


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the first and last column by kind of step and row, and whether any row of a kind has a gap.

    Columns are relative to a segment's start, rows reach from 20 above it to 20 below. A kind is filled in when it is
    first needed.
    """
    kinds, rows = (2 * _LONGEST + 1) ** 2, 2 * (_LONGEST + LINE_WIDTH // 2 + 1) + 1
    first = np.full((kinds, rows), _NONE, dtype=np.int32)
    return first, np.full_like(first, -_NONE), np.zeros(kinds, dtype=bool)


def _draw_kind(code: int, first_of: np.ndarray, last_of: np.ndarray, ragged: np.ndarray) -> None:
    dy, dx = (part - _LONGEST for part in divmod(code, 2 * _LONGEST + 1))
    rows = first_of.shape[1]
    centre = rows // 2
    canvas = np.zeros((rows, rows), dtype=np.uint8)
    cv2.line(canvas, (centre, centre), (centre + dx, centre + dy), 1, LINE_WIDTH)
    for row in np.flatnonzero(canvas.any(1)).tolist():
        columns = np.flatnonzero(canvas[row])
        first_of[code, row] = columns[0] - centre
        last_of[code, row] = columns[-1] - centre
        ragged[code] |= len(columns) != columns[-1] - columns[0] + 1


def _from_drawing(pixels: np.ndarray, height: int, width: int) -> Area:
    if len(pixels) == 1:
        pixels = np.repeat(pixels, 2, axis=0)  # OpenCV draws nothing for a single point, the evaluator a dot
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.polylines(mask, [pixels.astype(np.int32)], False, 1, LINE_WIDTH)
    first = np.where(mask.any(1), mask.argmax(1), _NONE)
    last = np.where(mask.any(1), width - 1 - mask[:, ::-1].argmax(1), -_NONE)
    size = int(mask.sum(dtype=np.int64))
    runs = size == int(np.maximum(last - first + 1, 0).sum())
    return Area(first, last, None if runs else mask, size)


def iou_matrix(rows: Sequence[Area | None], columns: Sequence[Area | None], width: int) -> np.ndarray:
    """Returns the intersection over union of every pair, float64 (rows, columns); 0 where either has no area."""
    ious = np.zeros((len(rows), len(columns)))
    for i, first in enumerate(rows):
        for j, second in enumerate(columns):
            if first is None or second is None:
                continue
            if first.mask is None and second.mask is None:
                spans = np.minimum(first.last, second.last) - np.maximum(first.first, second.first) + 1
                common = int(np.maximum(spans, 0).sum())
            else:
                common = int(np.count_nonzero(first.drawn(width) & second.drawn(width)))
            union = first.size + second.size - common
            ious[i, j] = common / union if union else 0.0
    return ious

"""The area of a lane in CULane's score: a natural cubic spline drawn as a line 30 pixels wide.

The official evaluator draws every lane anew for every pair, a segment at a time. Away from the image's borders a
segment's place only shifts its pixels, so each kind of segment is drawn once by OpenCV and kept as the first and last
column of each row. A lane that never turns back in y then has a single run of columns in each row, from the least to
the greatest of its segments', and an intersection is a sum over rows. Segments at a border, where OpenCV clips the
outline before it fills it and may give or take a pixel, are drawn at their place, and so are lanes that turn back in y.
All of it is the official pixels, bit for bit.

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
"""Width in pixels of CULane's lanes; papers that score smaller images draw thinner ones."""
WIDEST = 255
"""Largest width that can be drawn."""
_LONGEST = 4  # longest step in pixels, in x or y, that is taken from the table
_NONE = 1 << 30


@dataclass(frozen=True)
class Area:
    """Pixels of a lane in an image.

    Attributes:
        first: int (height,), first column of each row; above ``last`` where the row has none.
        last: int (height,), last column of each row.
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
    points = lane.T.astype(np.float64)  # (2, points), so that numpy's innermost loop runs over many numbers
    steps = (lane[1:] - lane[:-1]).T.astype(np.float64)  # the evaluator subtracts in single precision
    lengths = np.sqrt(steps[0] ** 2 + steps[1] ** 2)
    curvature = _second_derivatives(steps / lengths, lengths.tolist())
    linear = steps / lengths - (2 * lengths * curvature[:, :-1] + lengths * curvature[:, 1:]) / 6
    square = curvature[:, :-1] / 2
    cubic = (curvature[:, 1:] - curvature[:, :-1]) / (6 * lengths)
    t = (lengths / SUB_STEPS)[:, None] * np.arange(SUB_STEPS)
    between = points[:, :-1, None] + linear[..., None] * t + square[..., None] * t**2 + cubic[..., None] * t**3
    dense = np.empty((between[0].size + 1, 2), dtype=np.float32)
    dense[:-1], dense[-1] = between.reshape(2, -1).T, points[:, -1]
    return np.rint(dense, out=dense).astype(np.int32)


def _second_derivatives(slopes: np.ndarray, h: list[float]) -> np.ndarray:
    """Returns the second derivatives (2, points) of the natural spline: 0 at the ends, a tridiagonal system between."""
    right = 6 * (slopes[:, 1:] - slopes[:, :-1]).T
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
    curvature = [(0.0, 0.0)]
    for i in range(len(solved) - 1, -1, -1):
        x, y = curvature[-1]
        curvature.append((solved[i][0] - upper[i] * x, solved[i][1] - upper[i] * y))
    return np.array([*curvature, (0.0, 0.0)])[::-1].T


def distinct(lane: np.ndarray) -> np.ndarray:
    """Returns a lane without the points that repeat the point before, for which no spline is defined."""
    if len(lane) < 2:
        return lane
    return lane[_moved(lane)]


def _moved(points: np.ndarray) -> np.ndarray:
    """Returns which of the points (n, 2) differ from the point before; the first does."""
    moved = np.ones(len(points), dtype=bool)
    np.logical_or(points[1:, 0] != points[:-1, 0], points[1:, 1] != points[:-1, 1], out=moved[1:])
    return moved


def area(lane: np.ndarray, height: int, width: int, line_width: int = LINE_WIDTH) -> Area | None:
    """Returns the pixels of a lane, or None for fewer than two distinct points, which match nothing.

    Args:
        lane: float32 (points, 2) of (x, y).
        height: Rows of the image.
        width: Columns of the image.
        line_width: Pixels across the lane.
    """
    lane = distinct(lane)
    if len(lane) < 2:
        return None
    pixels = spline_points(lane)
    pixels = pixels[_moved(pixels)]
    steps = pixels[1:] - pixels[:-1]
    falls = steps[:, 1]
    # Where y never turns back, segments that meet a row follow one another, and neighbours share a dot that meets it
    # too (no segment reaches further up or down than its two dots), so the row's columns are one run.
    forward = len(pixels) > 1 and bool((falls <= 0).all() or (falls >= 0).all())
    if forward and int(abs(steps).max()) <= _LONGEST:
        tabled = _from_table(pixels[:-1], steps, height, width, line_width)
        if tabled is not None:
            return tabled
    return _from_drawing(pixels, height, width, line_width)


def _from_table(starts: np.ndarray, steps: np.ndarray, height: int, width: int, line_width: int) -> Area | None:
    """Returns the union of the lane's segments; None where one of them has a row of several runs."""
    kinds = _kinds(line_width)
    reach = kinds.reach
    codes = (steps[:, 1] + _LONGEST) * (2 * _LONGEST + 1) + steps[:, 0] + _LONGEST
    kinds.fill(codes)
    if kinds.ragged[codes].any():
        return None
    bordering = _bordering(starts, height, width, reach)
    above = max(0, reach - int(starts[:, 1].min()))  # rows that are kept above the image and below it
    below = max(0, int(starts[:, 1].max()) + reach + 1 - height)
    first = np.full(above + height + below, _NONE, dtype=np.int32)
    last = np.full_like(first, -_NONE)
    inside = slice(above, above + height)
    if bordering.any() and not _draw_at_border(
        starts[bordering], steps[bordering], first[inside], last[inside], width, kinds
    ):
        return None
    rest = ~bordering
    codes, x = codes[rest], starts[rest, 0, None]
    at = (starts[rest, 1, None] + above - reach + np.arange(2 * reach + 1)).ravel()
    np.minimum.at(first, at, (x + kinds.first[codes]).ravel())
    np.maximum.at(last, at, (x + kinds.last[codes]).ravel())
    first = np.maximum(first[inside], 0)
    last = np.minimum(last[inside], width - 1)
    return Area(first, last, None, int(np.maximum(last - first + 1, 0).sum()))


def _bordering(starts: np.ndarray, height: int, width: int, reach: int) -> np.ndarray:
    """Returns which segments, bool (n,), have pixels on both sides of a border of the image or next to it."""
    x, y = starts[:, 0], starts[:, 1]
    near = (abs(x) <= reach) | (abs(x - width) <= reach) | (abs(y) <= reach) | (abs(y - height) <= reach)
    seen = (x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach)
    return near & seen


def _draw_at_border(
    starts: np.ndarray, steps: np.ndarray, first: np.ndarray, last: np.ndarray, width: int, kinds: _Kinds
) -> bool:
    """Draws segments at their place in the image and notes their columns; False where a row has several runs.

    The canvas is the part of the image around them, whose sides are the image's wherever a segment comes near one.
    """
    low = np.maximum(starts.min(0) - kinds.reach, 0)
    high = np.minimum(starts.max(0) + kinds.reach + 1, [width, len(first)])
    mask = np.zeros((high - low)[::-1].tolist(), dtype=np.uint8)
    for start, end in zip((starts - low).tolist(), (starts + steps - low).tolist(), strict=True):
        cv2.line(mask, start, end, 1, kinds.line_width)
    left, right = _runs(mask)
    if int(mask.sum(dtype=np.int64)) != int(np.maximum(right - left + 1, 0).sum()):
        return False
    drawn = np.flatnonzero(right >= left)
    first[low[1] + drawn] = left[drawn] + low[0]
    last[low[1] + drawn] = right[drawn] + low[0]
    return True


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first and last column of each row of a mask (rows, columns); first above last where it has none."""
    there = mask.any(1)
    first = np.where(there, mask.argmax(1), _NONE)
    return first, np.where(there, mask.shape[1] - 1 - mask[:, ::-1].argmax(1), -_NONE)


class _Kinds:
    """First and last column by kind of step and row, and whether any row of a kind has a gap.

    Columns are relative to a segment's start, rows reach from ``reach`` above it to ``reach`` below. A kind is filled
    in when it is first needed.
    """

    def __init__(self, line_width: int) -> None:
        self.line_width = line_width
        self.reach = _LONGEST + line_width // 2 + 2
        kinds, rows = (2 * _LONGEST + 1) ** 2, 2 * self.reach + 1
        self.first = np.full((kinds, rows), _NONE, dtype=np.int32)
        self.last = np.full_like(self.first, -_NONE)
        self.ragged = np.zeros(kinds, dtype=bool)
        self.drawn = np.zeros(kinds, dtype=bool)

    def fill(self, codes: np.ndarray) -> None:
        """Draws the kinds among ``codes`` that have not been drawn yet."""
        if self.drawn[codes].all():
            return
        centre = self.reach
        for code in set(codes[~self.drawn[codes]].tolist()):
            dy, dx = (part - _LONGEST for part in divmod(code, 2 * _LONGEST + 1))
            canvas = np.zeros((2 * centre + 1, 2 * centre + 1), dtype=np.uint8)
            cv2.line(canvas, (centre, centre), (centre + dx, centre + dy), 1, self.line_width)
            first, last = _runs(canvas)
            there = last >= first
            self.first[code, there], self.last[code, there] = first[there] - centre, last[there] - centre
            self.ragged[code] = int(canvas.sum()) != int((last - first + 1)[there].sum())
            self.drawn[code] = True


@lru_cache(maxsize=8)
def _kinds(line_width: int) -> _Kinds:
    return _Kinds(line_width)


def _from_drawing(pixels: np.ndarray, height: int, width: int, line_width: int) -> Area:
    if len(pixels) == 1:
        pixels = np.repeat(pixels, 2, axis=0)  # OpenCV draws nothing for a single point, the evaluator a dot
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.polylines(mask, [pixels.astype(np.int32)], False, 1, line_width)
    first, last = _runs(mask)
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

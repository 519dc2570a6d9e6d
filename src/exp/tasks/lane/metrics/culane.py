"""CULane's F1, exactly as the official evaluator counts it. Torch-free.

A predicted lane is right if the assignment that maximises the sum of IoUs gives it a label with an IoU strictly above
the threshold. The assignment does not depend on the threshold, so a single pass serves all of them. The Python scores
that came with LaneATT and its followers (5 sub-steps, truncated points, another spline) differ from the official
evaluator by a few lanes in a thousand.

Source: XingangPan/SCNN, tools/lane_evaluation; mF1 as in CLRNet (mean F1 at IoU 0.50, 0.55 ... 0.95).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from exp.tasks.lane.metrics.area import LINE_WIDTH, Area, area, iou_matrix

HEIGHT, WIDTH = 590, 1640
"""Size of CULane's images."""
MF1 = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Thresholds of mF1."""
CROSS = "cross"
"""The category of crossings, whose images have no lanes, so that false positives are counted instead of F1."""


@dataclass(frozen=True)
class Count:
    """Hits and misses at a threshold.

    Attributes:
        tp: Predicted lanes with a label.
        fp: Predicted lanes without one.
        fn: Labels without a predicted lane.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted lanes that are right, in percent; 0 where there are none."""
        return 100 * self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """Share of the labels that a predicted lane matches, in percent; 0 where there are none."""
        return 100 * self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent; 0 without a hit."""
        return 200 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0


def areas(
    lanes: Iterable[np.ndarray], height: int = HEIGHT, width: int = WIDTH, line_width: int = LINE_WIDTH
) -> list[Area | None]:
    """Returns each lane's pixels, see ``exp.tasks.lane.metrics.area.area``."""
    return [area(np.asarray(lane, dtype=np.float32), height, width, line_width) for lane in lanes]


def matched(predicted: Sequence[Area | None], labels: Sequence[Area | None], width: int = WIDTH) -> np.ndarray:
    """Returns the IoUs of the one-to-one assignment with the largest sum, float64 (min(predicted, labels),)."""
    if not predicted or not labels:
        return np.zeros(0)
    ious = iou_matrix(labels, predicted, width)
    return ious[linear_sum_assignment(ious, maximize=True)]


def count(ious: np.ndarray, predicted: int, labels: int, threshold: float) -> Count:
    """Returns the hits and misses of an image at a threshold.

    Args:
        ious: IoUs of the assigned pairs, from ``matched``.
        predicted: Number of predicted lanes.
        labels: Number of labels.
        threshold: IoU that has to be exceeded.
    """
    tp = int((ious > threshold).sum())
    return Count(tp, predicted - tp, labels - tp)


def score(
    predicted: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    thresholds: Sequence[float] = (0.5,),
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
    line_width: int = LINE_WIDTH,
) -> list[Count]:
    """Returns the hits and misses of an image at each threshold.

    Args:
        predicted: Predicted lanes, (points, 2) of (x, y) in pixels each.
        labels: True lanes in the same form.
        thresholds: IoUs that have to be exceeded.
        height: Rows of the image.
        width: Columns of the image.
        line_width: Pixels across a lane.
    """
    ious = matched(areas(predicted, height, width, line_width), areas(labels, height, width, line_width), width)
    return [count(ious, len(predicted), len(labels), threshold) for threshold in thresholds]

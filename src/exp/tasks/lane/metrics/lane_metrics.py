"""CULane's F1, TuSimple's accuracy and the zigzag of lanes as torchmetrics, for any Lightning module.

They count on the CPU, since lanes are drawn and matched there; their sums are on the metric's device, in int64 and
float64, and are added up over the ranks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from exp.tasks.lane.metrics import tusimple
from exp.tasks.lane.metrics.area import LINE_WIDTH, WIDEST
from exp.tasks.lane.metrics.culane import HEIGHT, WIDTH, Count, score
from exp.tasks.lane.metrics.scores import zigzag

Lanes = Sequence[np.ndarray | Tensor | Sequence[Sequence[float]]]
"""The lanes of an image, (points, 2) of (x, y) in pixels each."""


class CULaneF1(Metric):
    """CULane's F1 in percent, exactly as the official evaluator counts it (XingangPan/SCNN, tools/lane_evaluation).

    With several thresholds it is their mean: ``CULaneF1(MF1)`` is mF1, with ``MF1`` of
    ``exp.tasks.lane.metrics.culane``. ``counts`` has the hits and misses of each threshold.

    Args:
        thresholds: IoUs that have to be exceeded, each at least 0 and below 1.
        width: Columns of the images.
        height: Rows of the images.
        line_width: Pixels across a lane; 30 is CULane's.
        kwargs: See ``torchmetrics.Metric``.

    Attributes:
        counts: int64 (thresholds, 3), true positives, false positives and false negatives.

    Raises:
        ValueError: A size or a threshold is out of range.

    Example:
        >>> left, right = ([[x + row / 4, 589 - row] for row in range(0, 300, 10)] for x in (300, 900))
        >>> metric = CULaneF1()
        >>> metric.update(predicted=[[left]], labels=[[left, right]])
        >>> metric.compute()
        tensor(66.6667, dtype=torch.float64)
        >>> metric.counts
        tensor([[1, 0, 1]])
        >>> smaller = CULaneF1(width=1276, height=717, line_width=20)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0
    counts: Tensor

    def __init__(
        self,
        thresholds: Sequence[float] = (0.5,),
        *,
        width: int = WIDTH,
        height: int = HEIGHT,
        line_width: int = LINE_WIDTH,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if width < 1 or height < 1 or not 1 <= line_width <= WIDEST:
            raise ValueError(f"{width}x{height} with lanes of {line_width} pixels: sizes from 1, lanes to {WIDEST}")
        if not thresholds or not all(0 <= threshold < 1 for threshold in thresholds):
            raise ValueError(f"thresholds={list(thresholds)}: one or more, each at least 0 and below 1")
        self.thresholds = tuple(thresholds)
        self.width, self.height, self.line_width = width, height, line_width
        counts = torch.zeros(len(self.thresholds), 3, dtype=torch.int64)
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, predicted: Sequence[Lanes], labels: Sequence[Lanes]) -> None:
        """Adds a batch of images.

        Args:
            predicted: The predicted lanes of each image.
            labels: The true lanes of each image.

        Raises:
            ValueError: The two are not of as many images, or a lane does not consist of points (x, y).
        """
        for own, true in zip(_images(predicted), _images(labels), strict=True):
            size = {"height": self.height, "width": self.width, "line_width": self.line_width}
            counts = score(own, true, self.thresholds, **size)
            self.counts += torch.tensor([[c.tp, c.fp, c.fn] for c in counts], device=self.counts.device)

    def compute(self) -> Tensor:
        """Returns F1 in percent, float64 (); 0 without a hit."""
        scores = [Count(*row).f1 for row in self.counts.tolist()]
        return torch.tensor(sum(scores) / len(scores), dtype=torch.float64, device=self.counts.device)


class TuSimpleAccuracy(Metric):
    """TuSimple's accuracy in percent by the official rules (TuSimple/tusimple-benchmark, evaluate/lane.py).

    Args:
        kwargs: See ``torchmetrics.Metric``.

    Attributes:
        sums: float64 (3,), each frame's accuracy, share of wrong predictions (FP) and of missed labels (FN), summed.
        frames: int64 (), number of frames.

    Example:
        >>> rows = list(range(200, 700, 10))
        >>> label = [300 + row for row in rows]
        >>> metric = TuSimpleAccuracy()
        >>> metric.update([[[x + 5 for x in label]]], [[label]], [rows])
        >>> metric.compute()
        tensor(100., dtype=torch.float64)
        >>> metric.sums / metric.frames
        tensor([1., 0., 0.], dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0
    sums: Tensor
    frames: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        predicted: Sequence[Sequence[Sequence[float]]],
        labels: Sequence[Sequence[Sequence[float]]],
        rows: Sequence[Sequence[float]],
    ) -> None:
        """Adds a batch of frames.

        Args:
            predicted: x of each predicted lane of each frame at each of its rows, negative where it has none.
            labels: x of each true lane in the same form.
            rows: y of each frame's rows.

        Raises:
            ValueError: A lane has another number of values than its frame has rows.
        """
        for own, true, y in zip(predicted, labels, rows, strict=True):
            result = tusimple.frame(own, true, y)
            self.sums += self.sums.new_tensor([result.accuracy, result.fp, result.fn])
            self.frames += 1

    def compute(self) -> Tensor:
        """Returns the mean accuracy of the frames in percent, float64 (); 0 without a frame."""
        return 100 * self.sums[0] / self.frames.clamp(min=1)


class LaneZigzag(Metric):
    """How unsteady lanes are: the mean size of the second difference of x from row to row, in pixels; 0 is straight.

    Args:
        kwargs: See ``torchmetrics.Metric``.

    Attributes:
        bend: float64 (), second differences, summed.
        bends: int64 (), number of second differences.

    Example:
        >>> from torch import tensor
        >>> metric = LaneZigzag()
        >>> metric.update(tensor([[10.0, 20.0, 30.0, 44.0], [10.0, 12.0, float("nan"), 14.0]]))
        >>> metric.compute()
        tensor(2., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0
    bend: Tensor
    bends: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("bend", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("bends", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, x: Tensor | np.ndarray) -> None:
        """Adds lanes (..., rows): x at rows of equal distance, NaN where a lane has no point."""
        values = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
        bend, bends = zigzag(values.reshape(-1, values.shape[-1]))
        self.bend += bend
        self.bends += bends

    def compute(self) -> Tensor:
        """Returns the mean second difference, float64 (); 0 without one."""
        return self.bend / self.bends.clamp(min=1)


def _images(images: Sequence[Lanes]) -> list[list[np.ndarray]]:
    """Returns the lanes of each image as float32 arrays (points, 2)."""
    return [[_points(lane) for lane in lanes] for lanes in images]


def _points(lane: Any) -> np.ndarray:
    points = np.asarray(lane.detach().cpu() if isinstance(lane, Tensor) else lane, dtype=np.float32)
    if not points.size:
        return np.zeros((0, 2), dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"a lane of shape {points.shape}: expected (points, 2) of (x, y)")
    return points

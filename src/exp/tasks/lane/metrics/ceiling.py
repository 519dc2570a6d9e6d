"""The F1 that a lane model without any mistake would reach: what is lost by turning labels into tokens. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.metrics.area import LINE_WIDTH
from exp.tasks.lane.metrics.culane import Count, score


def ceiling(
    codec: LaneCodec,
    images: Sequence[Sequence[np.ndarray]],
    thresholds: Sequence[float] = (0.5, 0.75, 0.9),
    *,
    line_width: int = LINE_WIDTH,
) -> dict[float, float]:
    """Returns CULane's F1 of labels that are encoded and decoded again, in percent by IoU threshold.

    Args:
        codec: Encodes and decodes.
        images: Lanes of each image in pixels of the original.
        thresholds: IoUs that have to be exceeded.
        line_width: Pixels across a lane.
    """
    view = codec.view
    size = {"height": view.image_height, "width": view.image_width, "line_width": line_width}
    totals = [Count()] * len(thresholds)
    for lanes in images:
        ids = codec.encode([view.to_input(lane) for lane in lanes]).ids
        counts = score(codec.decode(ids), lanes, thresholds, **size)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    return {threshold: total.f1 for threshold, total in zip(thresholds, totals, strict=True)}

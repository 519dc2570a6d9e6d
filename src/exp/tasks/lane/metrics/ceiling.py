"""The F1 that a lane model without any mistake would reach: what is lost by turning labels into tokens. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.metrics.culane import Count, score


def ceiling(
    codec: LaneCodec, images: Sequence[Sequence[np.ndarray]], thresholds: Sequence[float] = (0.5, 0.75, 0.9)
) -> dict[float, float]:
    """Returns CULane's F1 of labels that are encoded and decoded again, in percent by IoU threshold.

    Args:
        codec: Encodes and decodes.
        images: Lanes of each image in pixels of the original.
        thresholds: IoUs that have to be exceeded.
    """
    view = codec.view
    totals = [Count()] * len(thresholds)
    for lanes in images:
        ids = codec.encode([view.to_input(lane) for lane in lanes]).ids
        counts = score(codec.decode(ids), lanes, thresholds, height=view.image_height, width=view.image_width)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    return {threshold: total.f1 for threshold, total in zip(thresholds, totals, strict=True)}

from typing import Any

import numpy as np
import pytest

from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.view import View
from exp.tasks.lane.metrics.ceiling import ceiling

VIEW = View(590, 1640, 270, 320, 800)


@pytest.mark.parametrize(
    ("options", "at_50", "at_90"),
    [
        ({"nbins": 400}, (99.9, 100), (99, 100)),
        ({"nbins": 100}, (99.9, 100), (0, 60)),
        ({"tokens": "relative", "nbins": 800, "max_dx": 32}, (99.9, 100), (99, 100)),
        ({"tokens": "relative", "nbins": 800, "max_dx": 16}, (80, 90), (70, 80)),
        ({"tokens": "relative_published", "nbins": 200, "max_dx": 32, "order": "top_down"}, (0, 1), (0, 1)),
    ],
)
def test_ceilings_on_real_labels(
    culane_labels: list[list[np.ndarray]],
    options: dict[str, Any],
    at_50: tuple[float, float],
    at_90: tuple[float, float],
) -> None:
    limit = ceiling(LaneCodec(VIEW, **options), culane_labels)
    assert at_50[0] <= limit[0.5] <= at_50[1]
    assert at_90[0] <= limit[0.9] <= at_90[1]


def test_ceilings_without_data() -> None:
    y = np.arange(590, 300, -10, dtype=np.float32)
    lanes = [[np.stack([x + (400 - x) * (590 - y) / 290, y], 1).astype(np.float32) for x in (300, 1300)]]
    assert ceiling(LaneCodec(VIEW), lanes)[0.9] == 100
    assert ceiling(LaneCodec(VIEW, tokens="relative_published", nbins=200), lanes)[0.5] == 0

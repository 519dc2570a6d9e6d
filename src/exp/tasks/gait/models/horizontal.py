"""Horizontal pooling: a body cut into strips from head to foot, one vector a strip.

Source: Fu et al., "Horizontal Pyramid Matching for Person Re-identification", AAAI 2019; one level, as in GaitBase
(Fan et al., CVPR 2023).
"""

from collections.abc import Callable

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from exp.tasks.gait.options import PartPool


class HorizontalPooling(nn.Module):
    """Maps (n, c, h, w) -> parts (n, c, bins).

    Args:
        bins: Strips; rows are shared out evenly where bins divides h, as adaptive pooling does where not.
        pool: Statistic of a strip: mean plus maximum (their sum), mean, or maximum.
    """

    def __init__(self, bins: int, pool: PartPool = "mean+max") -> None:
        super().__init__()
        self.bins = bins
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, c, h, w) to (n, c, bins).

        Raises:
            ValueError: There are more strips than rows.
        """
        h = x.shape[2]
        if h < self.bins:
            raise ValueError(f"HorizontalPooling: bins={self.bins} but the maps have {h} rows; lower bins or strides")
        if h % self.bins:
            return self._join(
                lambda: F.adaptive_avg_pool2d(x, (self.bins, 1))[..., 0],
                lambda: F.adaptive_max_pool2d(x, (self.bins, 1))[..., 0],
            )
        strips = rearrange(x, "n c (p h) w -> n c p (h w)", p=self.bins)
        # Unlike amax, max gives a strip's gradient to one of equal maxima, as the source, in half the time on a CPU.
        return self._join(lambda: strips.mean(3), lambda: strips.max(3).values)

    def _join(self, mean: Callable[[], Tensor], maximum: Callable[[], Tensor]) -> Tensor:
        if self.pool == "mean+max":
            return mean() + maximum()
        return mean() if self.pool == "avg" else maximum()

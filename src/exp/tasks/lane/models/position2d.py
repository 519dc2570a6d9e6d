"""Sine and cosine codes of places in a feature map (Vaswani et al., 2017, in two dimensions as in DETR)."""

import torch
from einops import rearrange
from torch import Tensor

PERIOD = 200.0
"""Ratio of the longest wave to the shortest (2 pi cells).

With the 10000 that is usual for sentences, half of the channels would hardly change over a map.
"""


def sincos2d(height: int, width: int, dim: int, *, step: float = 1.0, device: torch.device | None = None) -> Tensor:
    """Returns the codes (height * width, dim) of a map's cells, row by row; half of the channels for y, the rest for x.

    Args:
        height: Rows of the map.
        width: Columns of the map.
        dim: Channels, a multiple of 4.
        step: Distance of two cells; maps of a pyramid share one frame if each has its stride here.
        device: Where the codes are made.

    Raises:
        ValueError: dim is no multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"sincos2d: dim={dim} is no multiple of 4")
    down, across = ((torch.arange(count, device=device) + 0.5) * step for count in (height, width))
    rows = sincos(down, dim // 2)[:, None].expand(height, width, dim // 2)
    columns = sincos(across, dim // 2)[None].expand(height, width, dim // 2)
    return rearrange(torch.cat([rows, columns], 2), "h w d -> (h w) d")


def sincos(places: Tensor, dim: int) -> Tensor:
    """Returns the codes (n, dim) of places (n,) on a line; ``dim`` is even."""
    half = dim // 2
    rates = PERIOD ** (-torch.arange(half, device=places.device, dtype=torch.float32) / half)
    angles = places.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)

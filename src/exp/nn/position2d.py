"""Sine and cosine codes of places in a feature map (Vaswani et al., 2017, in two dimensions as in DETR)."""

import torch
from torch import Tensor

PERIOD = 10000.0


def sincos2d(height: int, width: int, dim: int, *, step: float = 1.0, device: torch.device | None = None) -> Tensor:
    """Codes of the cells of a map, the first half of the channels for y, the second for x.

    Args:
        height: Rows of the map.
        width: Columns of the map.
        dim: Channels, a multiple of 4.
        step: Distance of two cells; maps of a pyramid share one frame if each has its stride here.
        device: Where the codes are made.

    Returns:
        (height * width, dim), row by row.

    Raises:
        ValueError: dim is no multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"sincos2d: dim={dim} is no multiple of 4")
    quarter = dim // 4
    rates = PERIOD ** (-torch.arange(quarter, device=device, dtype=torch.float32) / quarter)

    def line(count: int) -> Tensor:
        places = (torch.arange(count, device=device, dtype=torch.float32) + 0.5) * step
        angles = places[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], 1)

    rows = line(height)[:, None].expand(height, width, dim // 2)
    columns = line(width)[None].expand(height, width, dim // 2)
    return torch.cat([rows, columns], 2).reshape(height * width, dim)

"""Which lane runs through which cell of a feature map: the target of an auxiliary loss for the image encoder."""

import torch
from einops import rearrange
from torch import Tensor


def cell_lanes(x: Tensor, y: Tensor, grid: torch.Size | tuple[int, int], step: int) -> Tensor:
    """Returns the lane of each cell.

    Args:
        x: (B, S, T) in input pixels, NaN where a lane has no point.
        y: (T,) of the rows.
        grid: Rows and columns of the map.
        step: Side of a cell in input pixels.

    Returns:
        int64 (B, rows, columns): slot + 1 where a lane has a point in the cell (the last slot's where several have),
        else 0.
    """
    rows, columns = grid
    lanes = torch.zeros((len(x), rows * columns), dtype=torch.long, device=x.device)
    down = (y / step).long().clamp(0, rows - 1)
    for slot in range(x.shape[1]):
        there = ~x[:, slot].isnan()
        across = (x[:, slot].nan_to_num() / step).long().clamp(0, columns - 1)
        image, row = there.nonzero(as_tuple=True)
        lanes[image, down[row] * columns + across[image, row]] = slot + 1
    return rearrange(lanes, "b (h w) -> b h w", h=rows)

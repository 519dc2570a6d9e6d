"""Stochastic depth: a residual branch is left out for a random part of the samples.

Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016.
"""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Sets whole samples of x (B, ...) to zero in training and divides the others by the chance to be kept.

    Args:
        rate: Chance of a sample to be dropped, at least 0 and below 1.

    Raises:
        ValueError: The rate is out of range.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate}: has to be at least 0 and below 1")
        self.rate = rate

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))

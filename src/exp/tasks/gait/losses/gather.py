"""Joins all ranks' shares to one batch, with gradients, so that pairs across devices count."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """All ranks' rows in rank order; the gradient of a row is the sum of all ranks' gradients for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shares: tuple[int, ...]) -> Tensor:
        ctx.shares = shares
        longest = max(shares)
        padded = x.new_zeros(longest, *x.shape[1:])
        padded[: len(x)] = x
        found = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(found, padded)
        return torch.cat([rows[:share] for rows, share in zip(found, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.contiguous()
        dist.all_reduce(grad)
        low = sum(ctx.shares[: dist.get_rank()])
        return grad[low : low + ctx.shares[dist.get_rank()]], None


def gathered(x: Tensor, shares: Sequence[int]) -> Tensor:
    """Returns the rows of all ranks, (sum of shares, ...).

    A loss of the result, the same on every rank, gives each rank the gradient of its own rows times the number of
    ranks, which the averaging of gradients over ranks takes back.

    Args:
        x: (n, ...) this rank's rows.
        shares: Rows of each rank.
    """
    return x if len(shares) == 1 else _Gather.apply(x, tuple(shares))

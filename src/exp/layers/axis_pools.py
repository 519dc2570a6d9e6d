"""Statistics along several axes of one feature map at once.

Mean and maximum, the statistics of most attention blocks, have a form of their own on a CPU: they are taken in the
order of the memory, and the gradients of all axes are added up in one tensor, piece by piece, where the plain form
makes a tensor of the feature map's size for each.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from exp.layers.pools import pool_axis
from exp.layers.stored import pieces, stored, total

FUSED = {"avg", "max"}
"""Statistics that have the fast form."""


def pool_axes(x: Tensor, names: Sequence[str], axes: Sequence[int]) -> list[Tensor]:
    """Returns for each axis its statistics, stacked as the second axis: (B, P, and the two axes of x that are left).

    Args:
        x: (B, C, H, W).
        names: P statistics, as of ``pool_axis``.
        axes: Axes of x: 1, 2 or 3.
    """
    lies = stored(x) if all(name in FUSED for name in names) else None
    if lies is None:
        return [torch.stack([pool_axis(x, name, axis) for name in names], 1) for axis in axes]
    memory, place = lies
    pooled = _Pools.apply(memory, tuple(names), tuple(place[axis] for axis in axes))
    reverse = [place[1] > 1 and axis != 1 for axis in axes]
    return [planes.transpose(2, 3) if turn else planes for planes, turn in zip(pooled, reverse, strict=True)]


def indexed_max(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Returns ``x.max(axis)``, value and first index.

    The search for the index goes element by element. So the axis is cut into blocks, whose maxima are found by vector
    instructions, and only the block that holds the maximum is searched.
    """
    length = x.shape[axis]
    block = max((size for size in range(4, int(length**0.5) + 1) if length % size == 0), default=0)
    if not block:
        return tuple(x.max(axis))  # type: ignore[return-value]
    blocks = x.unflatten(axis, (length // block, block))
    value, which = blocks.amax(axis + 1).max(axis)
    one = [1 if place == axis else size for place, size in enumerate(blocks.shape)]
    held = blocks.gather(axis, which.unsqueeze(axis).unsqueeze(axis).expand(one)).squeeze(axis)
    return value, which * block + held.max(axis).indices


class _Pools(torch.autograd.Function):
    """Statistics of a contiguous tensor along axes; of x itself nothing is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, names: tuple[str, ...], axes: tuple[int, ...]) -> tuple[Tensor, ...]:
        pooled, indices = [], []
        for axis in axes:
            statistics = []
            for name in names:
                if name == "avg":
                    kept = torch.Size(1 if place == axis else size for place, size in enumerate(x.shape))
                    statistics.append(total(x, kept).squeeze(axis) / x.shape[axis])
                elif ctx.needs_input_grad[0]:
                    value, index = indexed_max(x, axis)
                    statistics.append(value)
                    indices.append(index.to(torch.int16 if x.shape[axis] < 1 << 15 else torch.int64))
                else:
                    statistics.append(x.amax(axis))
            pooled.append(torch.stack(statistics, 1))
        ctx.save_for_backward(*indices)
        ctx.names, ctx.axes, ctx.shape = names, axes, x.shape
        return tuple(pooled)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        means, peaks = [], []
        indices = iter(ctx.saved_tensors)
        for grad, axis in zip(grads, ctx.axes, strict=True):
            for place, name in enumerate(ctx.names):
                one = grad[:, place].unsqueeze(axis)
                if name == "avg":
                    means.append(one / ctx.shape[axis])
                else:
                    peaks.append((axis, next(indices).long().unsqueeze(axis), one))
        if torch.is_grad_enabled():  # a second derivative is wanted
            out = sum((mean.expand(ctx.shape) for mean in means), grads[0].new_zeros(ctx.shape))
            for axis, index, one in peaks:
                out = out.scatter_add(axis, index, one)
            return out, None, None
        out = grads[0].new_empty(ctx.shape)
        for at in pieces(ctx.shape):
            part = out[at]
            if means:
                part.copy_(means[0][at].expand_as(part))
            else:
                part.zero_()
            for mean in means[1:]:
                part += mean[at]
            for axis, index, one in peaks:
                part.scatter_add_(axis, index[at], one[at])
        return out, None, None

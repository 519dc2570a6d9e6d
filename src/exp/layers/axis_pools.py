"""Statistics along several axes of one feature map at once.

Mean and maximum, the statistics of most attention blocks, have a form of their own on a CPU: they are taken in the
order of the memory, and the gradients of all axes are added up in one tensor, piece by piece, where the plain form
makes a tensor of the feature map's size for each.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from exp.layers.axis_gates import Joint, Plan, planned
from exp.layers.pools import pool_axis
from exp.layers.stored import pieces, stored, total

FUSED = {"avg", "max"}
"""Statistics that have the fast form."""
Axis = int | tuple[int, int]
"""An axis of (B, C, H, W), or the first and the last of several."""
Lines = tuple[tuple[int, int], ...]
"""The first and the last axis of each statistic, in memory's order."""
LONG = 64
"""Numbers in a row from which on vector instructions were measured to gain."""


def pool_axes(x: Tensor, names: Sequence[str], axes: Sequence[Axis]) -> list[Tensor]:
    """Returns for each axis its statistics, stacked as the second axis: (B, P, and the axes of x that are left).

    Args:
        x: (B, C, H, W).
        names: P statistics, as of ``pool_axis``.
        axes: Axes of x: 1, 2 or 3, or both positions at once, (2, 3).
    """
    return pooled(x, names, axes, ())[0]


def pooled(x: Tensor, names: Sequence[str], axes: Sequence[Axis], plan: Plan) -> tuple[list[Tensor], Joint | None]:
    """Returns what ``pool_axes`` returns, and what ``scaled`` takes to multiply x with gates made of it.

    Args:
        x: (B, C, H, W).
        names: P statistics, as of ``pool_axis``.
        axes: Axes of x: 1, 2 or 3, or both positions at once, (2, 3).
        plan: Of the gates, one for each of the axes and constant along it, which are multiplied in each term.
    """
    ends = [(axis, axis) if isinstance(axis, int) else axis for axis in axes]
    lies = stored(x) if all(name in FUSED for name in names) else None
    if lies is None:
        flats = [(x.flatten(first, last), first) for first, last in ends]
        return [torch.stack([pool_axis(flat, name, axis) for name in names], 1) for flat, axis in flats], None
    memory, place = lies
    lines = tuple((place[first], place[last]) for first, last in ends)
    whole, *others = _Pools.apply(memory, tuple(names), lines, plan)
    gates, planes = others[: len(axes)], others[len(axes) :]
    turned = [place[1] > 1 and axis in (2, 3) for axis in axes]
    statistics = [one.transpose(2, 3) if turn else one for one, turn in zip(planes, turned, strict=True)]
    return statistics, Joint(plan, whole, tuple(gates))


def indexed_max(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Returns ``x.max(axis)``, value and first index, the index in int16 where the axis is no longer than that holds.

    Torch searches for the index element by element. Where rows are long enough for vector instructions, the maximum is
    found first, and then the largest of the numbers that count down along the axis where x equals it.

    Args:
        x: Contiguous, of a floating-point type.
        axis: Any but the first.
    """
    length = x.shape[axis]
    short, narrow = x.element_size() == 2, length <= 1 << 15
    row = x.shape[axis + 1 :].numel() if axis + 1 < x.dim() else length
    if row < LONG or (short and not narrow):  # int16 does not count as far
        return _plain_max(x, axis)
    down = torch.arange(length - 1, -1, -1, dtype=torch.int16 if short else x.dtype)
    down = down.view([length if place == axis else 1 for place in range(x.dim())])
    values, indices = [], []
    for part in (x[at] for at in pieces(x.shape)):
        most = part.amax(axis, keepdim=True)
        same = torch.eq(part, most, out=torch.empty_like(part))  # 1 or 0 in the type of x, which has vectors
        if short:
            same = same.view(torch.int16) >> 13  # of the bits of 1, in both types of 16, 1 is left
        values.append(most.squeeze(axis))
        indices.append((length - 1 - same.mul_(down).amax(axis)).to(torch.int16 if narrow else torch.int64))
    value = torch.cat(values)
    return _plain_max(x, axis) if value.isnan().any() else (value, torch.cat(indices))  # no NaN equals itself


def _plain_max(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    value, index = x.max(axis)
    return value, index.to(torch.int16) if x.shape[axis] <= 1 << 15 else index


class _Pools(torch.autograd.Function):
    """Statistics of a contiguous tensor along axes, each given as its first and last; of x itself nothing is kept.

    Before them it returns the stand-ins of a ``Joint``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, names: tuple[str, ...], lines: Lines, plan: Plan) -> tuple[Tensor, ...]:
        pooled, indices, gates = [], [], []
        nothing = x.new_zeros(())
        for first, last in lines:
            flat, kept = x.flatten(first, last), _kept(x.shape, first, last)
            statistics = []
            for name in names:
                if name == "avg":
                    mean = total(x, kept) / flat.shape[first]
                    statistics.append(mean.flatten(first, last).squeeze(first))
                elif ctx.needs_input_grad[0]:
                    value, index = indexed_max(flat, first)
                    statistics.append(value)
                    indices.append(index)
                else:
                    statistics.append(flat.amax(first))
            pooled.append(torch.stack(statistics, 1))
            gates.append(nothing.expand(kept))
        ctx.save_for_backward(*indices)
        ctx.set_materialize_grads(False)
        ctx.names, ctx.lines, ctx.plan, ctx.shape = names, lines, plan, x.shape
        return nothing.expand(x.shape), *gates, *pooled

    @staticmethod
    def backward(ctx: Any, whole: Tensor | None, *grads: Any) -> tuple[Tensor | None, None, None, None]:
        count = len(ctx.lines)
        gates, of_planes = grads[:count], grads[count:]
        means, peaks = [], []
        indices = iter(ctx.saved_tensors)
        for grad, (first, last) in zip(of_planes, ctx.lines, strict=True):
            for place, name in enumerate(ctx.names):
                index = None if name == "avg" else next(indices)
                if grad is None:
                    continue
                if index is None:
                    mean = grad[:, place] / ctx.shape[first : last + 1].numel()
                    means.append(mean.reshape(_kept(ctx.shape, first, last)))
                else:
                    peaks.append((first, last, index.long().unsqueeze(first), grad[:, place].unsqueeze(first)))
        known = next((grad for grad in (whole, *of_planes) if grad is not None), None)
        if known is None:
            return None, None, None, None
        if torch.is_grad_enabled():  # a second derivative is wanted
            out = known.new_zeros(ctx.shape) if whole is None else whole * planned(ctx.plan, gates)
            out = sum(means, out)
            for first, last, index, one in peaks:
                out = out.flatten(first, last).scatter_add(first, index, one).view(ctx.shape)
            return out, None, None, None
        means = means or [known.new_zeros(()).expand(ctx.shape[0], 1, 1, 1)]
        out = known.new_empty(ctx.shape)
        for at in pieces(ctx.shape):
            part, (first_mean, *others) = out[at], [mean[at] for mean in means]
            if whole is None:
                part.copy_(first_mean)
            else:
                torch.addcmul(first_mean, whole[at], planned(ctx.plan, [gate[at] for gate in gates]), out=part)
            for mean in others:
                part += mean
            for first, last, index, one in peaks:
                part.flatten(first, last).scatter_add_(first, index[at], one[at])
        return out, None, None, None


def _kept(shape: torch.Size, first: int, last: int) -> torch.Size:
    """Returns a shape in which the axes from first to last have length 1."""
    return torch.Size(1 if first <= place <= last else size for place, size in enumerate(shape))

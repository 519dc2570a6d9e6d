"""A feature map times gates that are constant along some of its axes.

The plain form makes and keeps the product of the gates at the feature map's size. On a CPU it is made piece by piece,
in both passes, and only x and the gates are kept. Where the gates are made of statistics of x, as ``pooled`` of
``axis_pools`` returns them, its gradient is made at once: the plain form adds grad * gates and the statistics' share,
two tensors of the map's size.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from exp.layers.stored import as_stored, as_usual, pieces, stored, total

Plan = tuple[tuple[int, ...], ...]
"""Which gates are multiplied in each term of the sum."""


@dataclass(eq=False)
class Joint:
    """What lets the backward pass of a feature map's statistics finish that of the gates made of them.

    Its tensors stand for the map and for each gate, and hold no numbers. What they are sent in the backward pass is the
    gradient of the gated map, and the gates: of these and of their own gradients the statistics make that of the map,
    in one tensor. So what the stand-ins are sent is no gradient of theirs, and each serves one product.

    Attributes:
        plan: Which gates are multiplied in each term.
        whole: Of the map's shape, in memory's order.
        gates: Of the gates' shapes, in memory's order.
    """

    plan: Plan
    whole: Tensor
    gates: tuple[Tensor, ...]
    _spent: bool = False

    def stand_ins(self, x: Tensor, plan: Plan, gates: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the stand-ins for x and these gates, none where they are others'.

        Raises:
            RuntimeError: They are asked for a second time, which would add up what is no gradient.
        """
        if not self._fits(x, plan, gates):
            return ()
        if self._spent:
            raise RuntimeError(
                "statistics of a feature map finish the gradient of one product; take them once for each"
            )
        self._spent = True
        return (self.whole, *self.gates)

    def _fits(self, x: Tensor, plan: Plan, gates: Sequence[Tensor]) -> bool:
        """Returns whether it stands for x and these gates; not so if the statistics were taken without a gradient."""
        shapes = [gate.shape for gate in self.gates] == [gate.shape for gate in gates]
        return shapes and self.plan == plan and self.whole.requires_grad == x.requires_grad


def scaled(x: Tensor, terms: Sequence[Sequence[Tensor]], joint: Joint | None = None) -> Tensor:
    """Returns x (B, C, H, W) times the sum of the terms, each the product of its gates; same shape.

    Args:
        x: The feature map.
        terms: Gates, each broadcastable to x.
        joint: What ``pooled`` returned with the statistics of this x.
    """
    gates = [gate for term in terms for gate in term]
    lies = stored(x)
    if lies is None or any(gate.dim() != 4 or gate.shape[0] != x.shape[0] or gate.dtype != x.dtype for gate in gates):
        return x * _sum_of_products(terms)
    memory, place = lies
    numbers = iter(range(len(gates)))
    plan = tuple(tuple(next(numbers) for _ in term) for term in terms)
    placed = [as_stored(gate, place).contiguous() for gate in gates]
    stand_ins = () if joint is None else joint.stand_ins(memory, plan, placed)
    return as_usual(_Scaled.apply(memory, plan, len(placed), *placed, *stand_ins), place)


def planned(plan: Plan, gates: Sequence[Tensor]) -> Tensor:
    """Returns the sum of the products of the gates that a plan names."""
    return _sum_of_products([[gates[number] for number in term] for term in plan])


def _sum_of_products(terms: Sequence[Sequence[Tensor]]) -> Tensor:
    return functools.reduce(torch.add, [functools.reduce(torch.mul, term) for term in terms])


def _shares(product: Tensor, plan: Plan, gates: Sequence[Tensor]) -> list[Tensor]:
    """Returns the gradient of each gate, given that of the product times x."""
    found = []
    for term in plan:
        for number in term:
            share = product
            for other in term:
                if other != number:
                    share = share * gates[other]
            found.append(total(share, gates[number].shape))
    return found


class _Scaled(torch.autograd.Function):
    """A contiguous tensor times a sum of products of contiguous gates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: Plan, count: int, *gates_and_stand_ins: Tensor) -> Tensor:
        gates = gates_and_stand_ins[:count]
        ctx.plan, ctx.joint = plan, len(gates_and_stand_ins) > count
        ctx.save_for_backward(x, *gates)
        out = torch.empty_like(x)
        for at in pieces(x.shape):
            torch.mul(x[at], planned(plan, [gate[at] for gate in gates]), out=out[at])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, *gates = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            sums = _shares(grad * x, ctx.plan, gates)
            if ctx.joint:
                return None, None, None, *sums, grad, *gates
            return grad * planned(ctx.plan, gates), None, None, *sums
        grad = grad.contiguous()
        sums = [torch.empty_like(gate) for gate in gates]
        of_x = None if ctx.joint else torch.empty_like(x)
        for at in pieces(x.shape):
            parts = [gate[at] for gate in gates]
            if of_x is not None:
                torch.mul(grad[at], planned(ctx.plan, parts), out=of_x[at])
            for whole, part in zip(sums, _shares(grad[at] * x[at], ctx.plan, parts), strict=True):
                whole[at] = part
        return of_x, None, None, *sums, *((grad, *gates) if ctx.joint else ())

"""A feature map times gates that are constant along some of its axes.

The plain form makes and keeps the product of the gates at the feature map's size. On a CPU it is made piece by piece,
in both passes, and only x and the gates are kept.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from exp.layers.stored import as_stored, as_usual, pieces, stored, total

Plan = tuple[tuple[int, ...], ...]
"""Which gates are multiplied in each term of the sum."""


def scaled(x: Tensor, terms: Sequence[Sequence[Tensor]]) -> Tensor:
    """Returns x (B, C, H, W) times the sum of the terms, each the product of its gates; same shape.

    Args:
        x: The feature map.
        terms: Gates, each broadcastable to x.
    """
    gates = [gate for term in terms for gate in term]
    lies = stored(x) if all(gate.dim() == 4 and gate.dtype == x.dtype for gate in gates) else None
    if lies is None:
        return x * _sum_of_products(terms)
    memory, place = lies
    numbers = iter(range(len(gates)))
    plan = tuple(tuple(next(numbers) for _ in term) for term in terms)
    placed = [as_stored(gate, place).contiguous() for gate in gates]
    return as_usual(_Scaled.apply(memory, plan, *placed), place)


def _sum_of_products(terms: Sequence[Sequence[Tensor]]) -> Tensor:
    products = []
    for first, *others in terms:
        for gate in others:
            first = first * gate
        products.append(first)
    added, *rest = products
    for one in rest:
        added = added + one
    return added


class _Scaled(torch.autograd.Function):
    """A contiguous tensor times a sum of products of contiguous gates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, plan: Plan, *gates: Tensor) -> Tensor:
        ctx.plan = plan
        ctx.save_for_backward(x, *gates)
        out = torch.empty_like(x)
        for at in pieces(x.shape):
            terms = [[gates[number][at] for number in term] for term in plan]
            torch.mul(x[at], _sum_of_products(terms), out=out[at])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, *gates = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            out = x * _sum_of_products([[gates[number] for number in term] for term in ctx.plan])
            wanted = [one for one in (x, *gates) if one.requires_grad]
            found = iter(torch.autograd.grad(out, wanted, grad, create_graph=True))
            of_x, *of_gates = (next(found) if one.requires_grad else None for one in (x, *gates))
            return of_x, None, *of_gates
        grad = grad.contiguous()
        sums = [torch.empty_like(gate) for gate in gates]
        of_x = torch.empty_like(x)
        for at in pieces(x.shape):
            terms = [[gates[number][at] for number in term] for term in ctx.plan]
            torch.mul(grad[at], _sum_of_products(terms), out=of_x[at])
            product = grad[at] * x[at]
            for term in ctx.plan:
                for number in term:
                    share = product
                    for other in term:
                        if other != number:
                            share = share * gates[other][at]
                    sums[number][at] = total(share, sums[number][at].shape)
        return of_x, None, *sums

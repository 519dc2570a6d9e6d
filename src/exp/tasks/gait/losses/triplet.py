"""Batch-all triplet loss, all parts at once.

Source: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017 (batch all, mean over
the terms that are not zero); part by part in Chao et al., "GaitSet", AAAI 2019.

Value and gradient are exact without the cube of all (anchor, positive, negative): the sum of an anchor's terms above
zero is each positive's reach times the negatives within it, minus each negative times the positives that reach it. Both
counts are taken one positive at a time, and they are the gradient as well, so that nothing but the counts is kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class TripletLoss(NamedTuple):
    """Loss and statistics of a batch's triplets.

    Attributes:
        loss: () mean over the terms above zero, then over the parts; 0 for a part without any.
        nonzero: () share of the terms that are above zero.
        mean_distance: () mean distance of two different walks.
    """

    loss: Tensor
    nonzero: Tensor
    mean_distance: Tensor


class _PartDistances(torch.autograd.Function):
    """(n, c, p) -> (p, n, n); keeps the embeddings and the result, and needs one product in the backward pass."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor) -> Tensor:
        x = embeddings.permute(2, 0, 1).contiguous()
        squares = x.square().sum(2)
        distances = torch.baddbmm(squares[:, None, :], x, x.transpose(1, 2), alpha=-2)
        distances += squares[:, :, None]
        distances.clamp_(min=0).diagonal(dim1=1, dim2=2).zero_()
        distances.sqrt_()
        ctx.save_for_backward(embeddings, distances)
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        embeddings, distances = ctx.saved_tensors
        # The root has no gradient at 0, where two walks are equal: there it is taken to be 0.
        pull = (grad / distances).masked_fill_(distances == 0, 0)
        pull = pull + pull.transpose(1, 2)
        x = embeddings.permute(2, 0, 1)
        return torch.baddbmm(x * pull.sum(2, keepdim=True), pull, x, alpha=-1).permute(1, 2, 0)


class _Hinges(torch.autograd.Function):
    """Loss and number of terms above zero of each part, from distances (p, n, n); keeps its gradient alone."""

    @staticmethod
    def forward(ctx: Any, distances: Tensor, positive: Tensor, same: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        parts, n = distances.shape[:2]
        count = positive.sum(1)
        most = int(count.max())
        # Each anchor's positives, filled up with walks that reach nothing.
        columns = positive.byte().sort(dim=1, descending=True, stable=True).indices[:, :most].expand(parts, n, most)
        filled = torch.arange(most, device=count.device) >= count[:, None]
        reach = distances.gather(2, columns) + margin
        reach.masked_fill_(filled, -torch.inf)
        negatives = distances.masked_fill(same, torch.inf)
        within, grad = torch.empty_like(reach), torch.zeros_like(distances)
        # On a CPU part by part, so that a part's negatives and marks stay in a core's cache.
        for at in range(parts) if distances.device.type == "cpu" else [slice(None)]:
            marks = torch.empty_like(negatives[at])
            for place in range(most):
                torch.gt(reach[at][..., place, None], negatives[at], out=marks)
                grad[at] -= marks
                within[at][..., place] = marks.sum(-1)
        terms = within.sum((1, 2), dtype=torch.float64)
        weight = (1 / (terms.clamp(min=1) * parts)).to(distances.dtype)
        total = (grad * distances).sum((1, 2)) + (within * reach.masked_fill_(filled, 0)).sum((1, 2))
        grad.scatter_add_(2, columns, within).mul_(weight[:, None, None])
        ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(terms)
        return (total * weight).sum(), terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.saved_tensors[0] * grad, None, None, None


def part_distances(embeddings: Tensor) -> Tensor:
    """Returns the Euclidean distances of all pairs of a batch, part by part.

    They are (p, n, n) with zero diagonals, float64 where the embeddings are and float32 otherwise; the gradient of a
    distance of 0 is 0.

    Args:
        embeddings: (n, c, p).
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        x: Tensor = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        distances: Tensor = _PartDistances.apply(x)
        return distances


def batch_all_triplet(distances: Tensor, labels: Tensor, *, margin: float, self_positive: bool = False) -> TripletLoss:
    """Returns the triplet loss over all (anchor, positive, negative) of a batch.

    Nothing of size n^3 is ever held, and the value is exact. Time grows with n^2 times the positives of an anchor.

    Args:
        distances: (p, n, n) as of ``part_distances``; (1, n, n) for one loss over all parts.
        labels: (n,) persons.
        margin: By how much a negative has to be further than a positive.
        self_positive: Whether a walk counts as a positive of itself, at distance 0, as in the published code.
    """
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positive = same if self_positive else same & ~itself
    parts, n = distances.shape[:2]
    with torch.autocast(distances.device.type, enabled=False):
        loss, terms = _Hinges.apply(distances, positive, same, margin)
    possible = (positive.sum(1) * (~same).sum(1)).sum() * parts
    return TripletLoss(
        loss,
        (terms.sum() / possible.clamp(min=1)).to(distances.dtype),
        distances.detach().sum() / max(parts * n * (n - 1), 1),
    )

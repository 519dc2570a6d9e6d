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
        # Looking for the most positives would let a GPU wait for the CPU at every step.
        count = count_in_turn if distances.device.type == "cpu" else count_by_sorting
        grad = count(distances, positive, same, margin)
        terms = grad.clamp(min=0).sum(2).sum(1, dtype=torch.float64)  # an anchor's are exact in float32 up to 2^24
        total = (grad * distances).sum((1, 2)) + (terms * margin).to(distances.dtype)
        weight = (1 / (terms.clamp(min=1) * len(distances))).to(distances.dtype)
        ctx.save_for_backward(grad.mul_(weight[:, None, None]))
        ctx.mark_non_differentiable(terms)
        return (total * weight).sum(), terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.saved_tensors[0] * grad, None, None, None


def count_in_turn(distances: Tensor, positive: Tensor, same: Tensor, margin: float) -> Tensor:
    """Counts terms above zero, one positive of each anchor at a time.

    Args:
        distances: (p, n, n).
        positive: (n, n) pairs of an anchor and a positive.
        same: (n, n) pairs of one person, which are no negatives.
        margin: By how much a negative has to be further than a positive.

    Returns:
        (p, n, n): at a positive the negatives within its reach, at a negative less the positives that reach it, else 0
    """
    parts, n = distances.shape[:2]
    number = positive.sum(1)
    most = int(number.max())
    # Each anchor's positives, filled up with walks that reach nothing.
    columns = positive.byte().sort(dim=1, descending=True, stable=True).indices[:, :most].expand(parts, n, most)
    reach = distances.gather(2, columns) + margin
    reach.masked_fill_(torch.arange(most, device=number.device) >= number[:, None], -torch.inf)
    negatives = distances.masked_fill(same, torch.inf)
    within, counts = torch.empty_like(reach), torch.zeros_like(distances)
    for part in range(parts):  # so that its negatives and marks stay in a core's cache
        marks = torch.empty_like(negatives[part])
        for place in range(most):
            torch.gt(reach[part, :, place, None], negatives[part], out=marks)
            counts[part] -= marks
            within[part, :, place] = marks.sum(-1)
    return counts.scatter_add_(2, columns, within)


def count_by_sorting(distances: Tensor, positive: Tensor, same: Tensor, margin: float) -> Tensor:
    """Counts the same as ``count_in_turn``, by sorting each anchor's distances: nothing is asked of the device."""
    reach = (distances + margin).masked_fill_(~positive, -torch.inf)
    negatives = distances.masked_fill(same, torch.inf)
    within = torch.searchsorted(negatives.sort(dim=2).values, reach)
    beyond = torch.searchsorted(reach.sort(dim=2).values, negatives, right=True)
    return (within + beyond - distances.shape[2]).to(distances.dtype)


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

"""Batch-all triplet loss, all parts at once.

Source: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017 (batch all, mean over
the terms that are not zero); part by part in Chao et al., "GaitSet", AAAI 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor


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


def part_distances(embeddings: Tensor) -> Tensor:
    """Returns the Euclidean distances of all pairs of a batch, part by part.

    They are float32 (p, n, n) with zero diagonals; the gradient of a distance of 0 is 0.

    Args:
        embeddings: (n, c, p).
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        x = rearrange(embeddings.float(), "n c p -> p n c")
        squares = x.square().sum(2)
        squared = squares[:, :, None] + squares[:, None, :] - 2 * x @ x.transpose(1, 2)
        # The root has no gradient at 0: such pairs, and each walk with itself, are taken out before it.
        apart = (squared > 0) & ~torch.eye(len(embeddings), dtype=torch.bool, device=x.device)
        return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def batch_all_triplet(distances: Tensor, labels: Tensor, *, margin: float, self_positive: bool = False) -> TripletLoss:
    """Returns the triplet loss over all (anchor, positive, negative) of a batch.

    The negatives of an anchor are sorted once; the sum over those nearer than a positive plus margin is then one prefix
    sum, so that nothing of size n^3 is ever held. The value is exact.

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
    negatives = (~same).sum(1)
    nearest = distances.masked_fill(same, torch.inf).sort(2).values
    reach = distances + margin
    count = torch.searchsorted(nearest.detach(), reach.detach().contiguous())
    count = torch.minimum(count, negatives[None, :, None]) * positive
    prefix = torch.cat([nearest.new_zeros(parts, n, 1), nearest.masked_fill(nearest.isinf(), 0.0).cumsum(2)], 2)
    terms = count.sum((1, 2))
    total = (count * reach - prefix.gather(2, count) * positive).sum((1, 2))
    loss = torch.where(terms > 0, total / terms.clamp(min=1), 0.0).mean()
    possible = (positive.sum(1) * negatives).sum() * parts
    return TripletLoss(
        loss,
        terms.sum().detach() / possible.clamp(min=1),
        distances.detach().sum() / max(parts * n * (n - 1), 1),
    )

"""Notices embeddings that have all become the same: the loss stays at the margin, which looks like slow progress."""

import torch
from torch import Tensor

COLLAPSED_DISTANCE = 0.01
"""Largest mean distance of collapsed embeddings, as a share of the margin."""
COLLAPSED_NONZERO = 0.99
"""Smallest share of triplets above zero of collapsed embeddings."""


class CollapseAlarm:
    """Mean share of triplets above zero and mean distance over an epoch.

    Args:
        margin: The triplet loss's margin, by which distances are judged.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self._sums = torch.zeros(3, dtype=torch.float64)

    def add(self, nonzero: Tensor, mean_distance: Tensor) -> None:
        """Adds a batch: share of its triplets above zero, mean distance of its walks, () each."""
        values = torch.stack([nonzero, mean_distance, torch.ones_like(nonzero)]).double()
        self._sums = self._sums.to(values.device) + values

    def take(self) -> dict[str, float]:
        """Returns the means ``nonzero`` and ``distance`` since the last call; nothing where no batch was added."""
        nonzero, distance, count = self._sums.tolist()
        self._sums.zero_()
        return {"nonzero": nonzero / count, "distance": distance / count} if count else {}

    def collapsed(self, scores: dict[str, float]) -> str | None:
        """Returns what is wrong where all walks of an epoch are one point, else None."""
        if not scores or scores["distance"] > COLLAPSED_DISTANCE * self.margin or scores["nonzero"] < COLLAPSED_NONZERO:
            return None
        return (
            f"the embeddings have collapsed to one point (mean distance {scores['distance']:.2g},"
            f" {scores['nonzero']:.0%} of the triplets above zero, margin {self.margin:g}); lower optim.lr or raise"
            " task.ce_weight"
        )

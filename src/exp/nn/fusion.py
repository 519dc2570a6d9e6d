"""How the maps of several branches become one multiplier.

The first source averages the branches (Misra et al., WACV 2021); 004_19b35580bfaac8c6.txt plans a "linear combination"
and a convolution. Since every branch multiplies the same x, the fusion can act on the broadcast maps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exp.nn.checks import one_of

FUSIONS = ("mean", "linear", "conv")


class BranchFusion(nn.Module):
    """Weighted sum of n maps, each broadcastable to (B, C, H, W).

    Args:
        branches: n.
        channels: C; read by fusion="conv" only.
        fusion: mean (1/n, no parameter) | linear (one free weight a branch) | conv (a grouped 1x1 convolution over
            the n stacked maps: n weights a channel, no bias). Weights start at 1/n, so step 0 equals the mean.
        where: Name of the block, for error messages.
    """

    def __init__(self, branches: int, channels: int, fusion: str, *, where: str) -> None:
        super().__init__()
        self.kind = one_of(where, "fusion", fusion, FUSIONS)
        self.branches = branches
        shape = {"mean": None, "linear": (branches,), "conv": (branches, channels, 1, 1)}[fusion]
        self.weight = None if shape is None else nn.Parameter(torch.empty(shape))
        self.init_weights()

    def init_weights(self) -> None:
        """Sets every weight to 1/n; call it after any generic initialisation."""
        if self.weight is not None:
            nn.init.constant_(self.weight, 1 / self.branches)

    def forward(self, maps: Sequence[Tensor], logits: Sequence[Tensor] | None = None) -> Tensor:
        """Returns the fused map, full size once the maps together are.

        With `logits` (n maps, broadcastable like `maps`) the branches compete at every position: each map is
        multiplied with n times its branch's softmax share. The softmax alone would not do as the maps: it sums to 1
        over the branches, so its mean is the constant 1/n and the block would be x / n whatever its weights. With each
        branch's own value as its map the competition stays visible.
        """
        weights: Sequence[Tensor | float] = (
            [1 / self.branches] * self.branches if self.weight is None else self.weight.unbind(0)
        )
        # Small maps are scaled before anything broadcasts them.
        terms = [part * weight for part, weight in zip(maps, weights, strict=True)]
        if logits is not None:
            shares = torch.stack(torch.broadcast_tensors(*logits)).softmax(0)
            terms = [term * self.branches * share for term, share in zip(terms, shares.unbind(0), strict=True)]
        fused = terms[0]
        for term in terms[1:]:
            fused = fused + term
        return fused

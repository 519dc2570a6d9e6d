"""How the maps of several branches become one multiplier.

The first source averages the branches (Misra et al., WACV 2021); 004_19b35580bfaac8c6.txt plans a "linear combination"
and a convolution. Since every branch multiplies the same x, the fusion can act on the broadcast maps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exp.blocks.options import Fusion


class BranchFusion(nn.Module):
    """Weighted sum of n maps, each broadcastable to (B, C, H, W).

    Args:
        branches: n.
        channels: C; read by ``conv`` only.
        fusion: ``mean`` (1/n, no parameter), ``linear`` (one free weight a branch) or ``conv`` (a grouped 1x1
            convolution over the n stacked maps: n weights a channel, no bias). The weights start at 1/n, so that an
            untrained fusion equals the mean.
    """

    def __init__(self, branches: int, channels: int, fusion: Fusion) -> None:
        super().__init__()
        self.kind = fusion
        self.branches = branches
        shape = {"mean": None, "linear": (branches,), "conv": (branches, channels, 1, 1)}[fusion]
        self.weight = None if shape is None else nn.Parameter(torch.empty(shape))
        self.init_weights()

    def init_weights(self) -> None:
        """Sets every weight to 1/n; call it after any generic initialisation."""
        if self.weight is not None:
            nn.init.constant_(self.weight, 1 / self.branches)

    def terms(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Returns the maps times their weights, of which the fused map is the sum; none of them is broadcast yet."""
        if self.weight is None:
            return [part * (1 / self.branches) for part in maps]
        return [part * weight for part, weight in zip(maps, self.weight.unbind(0), strict=True)]

    def forward(self, maps: Sequence[Tensor], logits: Sequence[Tensor] | None = None) -> Tensor:
        """Returns the fused map, of the size to which the maps broadcast.

        With ``logits`` (n maps, broadcastable like ``maps``) the branches compete at every position: each map is
        multiplied with n times its branch's softmax share. The shares alone would not do as maps: they sum to 1 over
        the branches, so their mean is the constant 1/n and the block would be x / n whatever its weights. With each
        branch's own value as its map the competition stays visible.
        """
        terms = self.terms(maps)
        if logits is not None:
            shares = torch.stack(torch.broadcast_tensors(*logits)).softmax(0)
            terms = [term * self.branches * share for term, share in zip(terms, shares.unbind(0), strict=True)]
        fused = terms[0]
        for term in terms[1:]:
            fused = fused + term
        return fused

"""Mixup and CutMix: each image of a training batch takes a part of another one's pixels and of its label.

Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018; Yun, Han, Oh, Chun, Choe, Yoo,
"CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019. Partners and shares
are drawn for the whole micro-batch over all devices, so one device and many mix the same pairs.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from typing_extensions import Self


@dataclass(frozen=True)
class Pairs:
    """What is mixed with what, for the n samples of a micro-batch.

    Attributes:
        partner: int64 (n,), a permutation: place of the sample that each takes a part of.
        share: (n,), the part of itself that each keeps, 0..1; for a box, of its area.
        box: int64 (n, 4), top, bottom, left and right of the box that is the partner's; empty for mixup.
        cut: Whether boxes are pasted (CutMix) instead of all pixels blended (mixup).
    """

    partner: Tensor
    share: Tensor
    box: Tensor
    cut: bool

    def part(self, first: int, last: int) -> Self:
        """Returns the rows of some samples; partners keep their places in the micro-batch."""
        rows = slice(first, last)
        return replace(self, partner=self.partner[rows], share=self.share[rows], box=self.box[rows])


class Mix:
    """Draws pairs.

    Args:
        mixup: alpha of mixup's Beta(alpha, alpha); 0 for none.
        cutmix: alpha of CutMix's; 0 for none. With both, each batch takes one of them, with equal chance.

    Raises:
        ValueError: An alpha is negative or both are 0.
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        if min(mixup, cutmix) < 0 or not mixup + cutmix:
            raise ValueError(f"mixup={mixup} and cutmix={cutmix}: have to be at least 0 and not both 0")
        self.mixup = mixup
        self.cutmix = cutmix

    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> Pairs:
        """Draws pairs for n samples of height and width ``size``, one share for all as in both papers' code."""
        cut = bool(self.cutmix) and (not self.mixup or torch.rand(1, generator=generator).item() < 0.5)
        share = _beta(self.cutmix if cut else self.mixup, generator)
        partner = torch.randperm(n, generator=generator)
        box = torch.zeros(n, 4, dtype=torch.int64)
        if cut:
            edges = []
            for length, centre in zip(size, torch.rand(2, generator=generator).tolist(), strict=True):
                half = length * math.sqrt(1 - share) / 2
                middle = centre * length
                edges += [round(max(0.0, middle - half)), round(min(float(length), middle + half))]
            box[:] = torch.tensor(edges)
            share = 1 - (edges[1] - edges[0]) * (edges[3] - edges[2]) / (size[0] * size[1])
        return Pairs(partner, torch.full((n,), share), box, cut)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """Returns a number of Beta(alpha, alpha), from two of Gamma(alpha)."""
    first, second = torch._standard_gamma(torch.full((2,), float(alpha), dtype=torch.float64), generator).tolist()
    return first / (first + second) if first + second else 0.5


def mixed(images: Tensor, others: Tensor, pairs: Pairs) -> Tensor:
    """Returns images (n, C, H, W) with a part of ``others``, their partners in the same order."""
    if not pairs.cut:
        share = pairs.share.to(images)[:, None, None, None]
        return others + share * (images - others)
    top, bottom, left, right = (pairs.box[:, i, None].to(images.device) for i in range(4))
    row = torch.arange(images.shape[2], device=images.device)
    column = torch.arange(images.shape[3], device=images.device)
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], others, images)

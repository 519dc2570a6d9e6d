"""Triplet attention with coordinate attention in place of its un-rotated branch.

Source: 004_19b35580bfaac8c6.txt (TripletCA). There the replaced spatial gate is still built, 101 parameters a block
that never get a gradient; here every parameter works.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from exp.blocks.coordinate import CoordinateGates, Plane
from exp.blocks.options import TripletCAOptions
from exp.blocks.triplet import TripletBase


class TripletCA(TripletBase):
    """Two rotated gates of triplet attention and coordinate attention's product of two gates, fused.

    x (B, C, H, W) -> same shape. The options shared with ``Triplet`` act on the two rotated gates; the coordinate
    branch is the official one (hard swish, sigmoid) at its own reduction, on the planes of ``axes``, whose products are
    averaged, and with the 1-D statistics of ``pools``, both planned in 004_19b35580bfaac8c6.txt. With
    ``gate="softmax_branch"`` it competes with the sum of its two logits as logit and the product of their sigmoids as
    value. The final form of the source is ``pool="max+l2"``, ``activation="celu"`` and ``bias=True``.

    Args:
        channels: C.
        options: See ``TripletCAOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: TripletCAOptions | None = None, **given: Any) -> None:
        options = TripletCAOptions.of(options, given)
        super().__init__(channels, options, branches=3)
        first, *others = cast("list[Plane]", options.axes.split("+"))
        given = {"reduction": options.reduction, "pools": options.pools}
        self.ca = CoordinateGates(channels, plane=first, **given)
        self.others = nn.ModuleList(CoordinateGates(channels, plane=plane, **given) for plane in others)

    def third(self, x: Tensor, planes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not self.compete:
            product, *others = (along * across for along, across in (gates(x) for gates in (self.ca, *self.others)))
            if others:
                product = torch.stack([product.expand_as(x), *(other.expand_as(x) for other in others)]).mean(0)
            return product, product
        along_h, along_w = self.ca.logits(x)
        return along_h + along_w, along_h.sigmoid() * along_w.sigmoid()

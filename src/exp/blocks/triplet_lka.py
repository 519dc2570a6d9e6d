"""Triplet attention with large-kernel attention as its third branch.

Source: 004_19b35580bfaac8c6.txt (TripletLKA).
"""

from typing import Any

from torch import Tensor

from exp.blocks.lka import LKA
from exp.blocks.options import TripletLKAOptions
from exp.blocks.triplet import TripletBase


class TripletLKA(TripletBase):
    """Two rotated gates of triplet attention and large-kernel attention's map, fused; x (B, C, H, W) -> same shape.

    The large kernel's map has no gate: its scale is unbounded, and it is averaged with two gates in (0, 1). The options
    shared with ``Triplet`` act on the two rotated gates. With ``gate="softmax_branch"`` the third branch competes with
    its map as logit and as value. 004_19b35580bfaac8c6.txt has ``activation="relu"`` here.

    Args:
        channels: C.
        options: See ``TripletLKAOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: TripletLKAOptions | None = None, **given: Any) -> None:
        options = TripletLKAOptions.of(options, given)
        super().__init__(channels, options, branches=3)
        self.lka = LKA(channels, kernel_size=options.lka_kernel)

    def third(self, x: Tensor, planes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        attention = self.lka.attention(x)
        return attention, attention

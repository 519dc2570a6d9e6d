"""Triplet attention with large kernel attention as its third branch.

Source: 004_19b35580bfaac8c6.txt (TripletLKA).
"""

from torch import Tensor

from exp.nn.checks import one_of_ints
from exp.nn.lka import LKA, LKA_KERNELS
from exp.nn.plane_gate import PlaneOptions
from exp.nn.triplet import TripletBase


class TripletLKA(TripletBase):
    """Two rotated gates of triplet attention and LKA's map, fused; x (B, C, H, W) -> same shape.

    LKA's map has no gate: its scale is unbounded, and it is averaged with two gates in (0, 1). The options are
    Triplet's and act on the two rotated gates; spatial and zero_gamma do not exist here, since there is no un-rotated
    plain gate.

    Args:
        channels: C.
        pool: As in Triplet.
        activation: As in Triplet (004_19b35580bfaac8c6.txt has relu here).
        gate: As in Triplet. For softmax_branch the LKA branch competes with its map as logit and as value.
        kernel_size: Of the two rotated gates, as in Triplet.
        bias: Bias of the two rotated gates' convolutions.
        fusion: As in Triplet.
        negative_slope: As in Triplet.
        alpha: As in Triplet.
        lka_kernel: Nominal K of LKA: 7, 14, 21 or 28.

    Raises:
        ValueError: For a value outside those named, or an option that the others leave without effect.
    """

    def __init__(
        self,
        channels: int,
        *,
        pool: str = "max+avg",
        activation: str = "none",
        gate: str = "sigmoid",
        kernel_size: int = 7,
        bias: bool = False,
        fusion: str = "mean",
        negative_slope: float = 0.01,
        alpha: float = 1.0,
        lka_kernel: int = 21,
    ) -> None:
        options = PlaneOptions(pool, activation, gate, kernel_size, bias, negative_slope, alpha)
        super().__init__(channels, options, branches=3, fusion=fusion)
        one_of_ints("TripletLKA", "lka_kernel", lka_kernel, LKA_KERNELS)
        self.lka = LKA(channels, kernel_size=lka_kernel)

    def third(self, x: Tensor) -> tuple[Tensor, Tensor]:
        attention = self.lka.attention(x)
        return attention, attention

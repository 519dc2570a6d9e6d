"""Triplet attention with coordinate attention in place of its un-rotated branch.

Source: 004_19b35580bfaac8c6.txt (TripletCA). There the replaced spatial gate is still built, 101 parameters a block
that never get a gradient; here every parameter works.
"""

from torch import Tensor

from exp.nn.coordinate import CoordinateGates
from exp.nn.plane_gate import PlaneOptions
from exp.nn.triplet import TripletBase


class TripletCA(TripletBase):
    """Two rotated gates of triplet attention and coordinate attention's product of two gates, fused; shape kept.

    The options are Triplet's and act on the two rotated gates; the coordinate branch is the official one (hard swish,
    sigmoid) at its own reduction. spatial and zero_gamma do not exist here, since there is no un-rotated plain gate.
    The final form of 004_19b35580bfaac8c6.txt is pool="max+l2", activation="celu", bias=True.

    Args:
        channels: C.
        pool: As in Triplet.
        activation: As in Triplet.
        gate: As in Triplet. For softmax_branch the coordinate branch competes with the sum of its two logits as logit
            and the product of its two sigmoids as value.
        kernel_size: As in Triplet.
        bias: Bias of the two rotated gates' convolutions.
        fusion: As in Triplet.
        negative_slope: As in Triplet.
        alpha: As in Triplet.
        reduction: Divisor of C for the coordinate branch's hidden width (at least 8).

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
        reduction: int = 16,
    ) -> None:
        options = PlaneOptions(pool, activation, gate, kernel_size, bias, negative_slope, alpha)
        super().__init__(channels, options, branches=3, fusion=fusion)
        self.ca = CoordinateGates(channels, reduction=reduction, where="TripletCA")

    def third(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.compete:
            product = self.ca(x)
            return product, product
        along_h, along_w = self.ca.logits(x)
        return along_h + along_w, along_h.sigmoid() * along_w.sigmoid()

"""The gate unit of triplet attention and CBAM's spatial half: statistics along one axis, convolution, batch norm, gate.

Source: Misra et al., "Rotate to Attend", WACV 2021, and Woo et al., "CBAM", ECCV 2018. The activations between batch
norm and gate are those of 004_19b35580bfaac8c6.txt.
"""

from typing import Literal

from torch import Tensor, nn

from exp.blocks.plane_conv import PlaneConv2d
from exp.layers.axis_pools import pool_axes

Plane = Literal["cw", "hc", "hw"]
"""Two of the axes of (B, C, H, W), in the order in which the official code's permutations bring them."""

POOLED_AXIS: dict[Plane, int] = {"cw": 2, "hc": 3, "hw": 1}
"""The axis of (B, C, H, W) that is not in the plane."""


class PlaneGate(nn.Module):
    """A map over one plane of x, read straight from x: no permuted copy of x is made.

    x (B, C, H, W) -> statistics along the axis that is not in the plane, stacked as input planes -> k x k convolution
    to one plane -> batch norm with momentum 0.01 -> activation -> gate. The axes of a plane are ordered as the official
    code's permutations order them, so that its kernels can be loaded as they are.

    Args:
        plane: ``cw`` (pools H), ``hc`` (pools W; kernel rows run along H, columns along C) or ``hw`` (pools C).
        pool: Statistics joined by +, as in ``PlaneGateOptions``.
        kernel_size: k, odd.
        bias: Whether the convolution has a bias.
        activation: Between batch norm and gate.
        gate: The last non-linearity; an identity returns the logits, for a block that gates several planes together.
        zero_gamma: Whether batch norm's gamma starts at 0, so that the unit starts as a constant gate.
    """

    def __init__(
        self,
        plane: Plane,
        *,
        pool: str,
        kernel_size: int,
        bias: bool,
        activation: nn.Module,
        gate: nn.Module,
        zero_gamma: bool = False,
    ) -> None:
        super().__init__()
        self.plane = plane
        self.pools = tuple(pool.split("+"))
        self.zero_gamma = zero_gamma
        self.conv = PlaneConv2d(len(self.pools), kernel_size, bias=bias)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        self.act = activation
        self.gate = gate
        self.init_weights()

    def init_weights(self) -> None:
        """Sets batch norm's gamma to 0 where asked; call it after any generic initialisation."""
        if self.zero_gamma:
            nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor, planes: Tensor | None = None) -> Tensor:
        """Returns the map with the pooled axis kept at size 1: (B, C, 1, W), (B, C, H, 1) or (B, 1, H, W).

        Args:
            x: (B, C, H, W).
            planes: Its statistics along the pooled axis as of ``pool_axes``, where they are taken of several axes at
                once; taken here if not given.
        """
        if planes is None:
            (planes,) = pool_axes(x, self.pools, [POOLED_AXIS[self.plane]])
        if self.plane == "hc":
            planes = planes.transpose(2, 3)
        out = self.gate(self.act(self.bn(self.conv(planes))))
        if self.plane == "cw":
            return out.transpose(1, 2)
        if self.plane == "hc":
            return out.permute(0, 3, 2, 1)
        return out

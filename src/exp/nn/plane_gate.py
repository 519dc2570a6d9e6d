"""The gate unit of triplet attention and CBAM's spatial half: statistics along one axis, convolution, BatchNorm, gate.

Source: Misra et al., "Rotate to Attend", WACV 2021, and Woo et al., "CBAM", ECCV 2018. The options between
BatchNorm and gate are those of 004_19b35580bfaac8c6.txt.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exp.nn.activations import PRE_GATE_ACTIVATIONS, make_activation, make_gate
from exp.nn.checks import acts_only, odd, plus_set
from exp.nn.plane_conv import PlaneConv2d
from exp.nn.pools import AXIS_POOLS, pool_axis

# "none" returns the logits, for a block that gates several branches together.
PLANE_GATES = ("sigmoid", "tanh", "hard_sigmoid", "softmax_map", "softmax_batch", "none")
# Plane -> the axis of (B, C, H, W) that is pooled away.
_POOLED_AXIS = {"cw": 2, "hc": 3, "hw": 1}


@dataclass(frozen=True)
class PlaneOptions:
    """What the gates of one block share; the defaults are the official form.

    Attributes:
        pool: Ordered '+'-joined set of avg, max, median, l1, l2; the order is the order of the input planes.
        activation: Between BatchNorm and gate, one of PRE_GATE_ACTIVATIONS.
        gate: One of PLANE_GATES.
        kernel_size: Odd k.
        bias: Bias of the convolution (redundant before BatchNorm; 004_19b35580bfaac8c6.txt has it).
        negative_slope: Of leaky_relu.
        alpha: Of elu and celu.
    """

    pool: str = "max+avg"
    activation: str = "none"
    gate: str = "sigmoid"
    kernel_size: int = 7
    bias: bool = False
    negative_slope: float = 0.01
    alpha: float = 1.0


class PlaneGate(nn.Module):
    """A map over one plane of x, read straight from x: no permuted copy of x is made.

    x (B, C, H, W) -> statistics along the axis that is not in `plane`, stacked as input planes -> k x k convolution to
    one plane -> BatchNorm2d(1, momentum 0.01) -> activation -> gate. The axes of a plane are ordered as the official
    code's permutations order them, so its kernels can be loaded as they are.

    Args:
        plane: cw (pools H), hc (pools W; kernel rows run along H, columns along C) or hw (pools C).
        options: See PlaneOptions.
        where: Name of the block, for error messages.
        zero_gamma: Start with BatchNorm's gamma at 0, that is with a constant gate.

    Raises:
        ValueError: For a value outside those named, or a slope or alpha that the activation does not read.
    """

    def __init__(self, plane: str, options: PlaneOptions, *, where: str, zero_gamma: bool = False) -> None:
        super().__init__()
        act, slope, alpha = options.activation, options.negative_slope, options.alpha
        self.plane = plane
        self.pools = plus_set(where, "pool", options.pool, AXIS_POOLS)
        self.zero_gamma = zero_gamma
        self.conv = PlaneConv2d(len(self.pools), odd(where, "kernel_size", options.kernel_size), bias=options.bias)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        self.act = make_activation(act, where=where, allowed=PRE_GATE_ACTIVATIONS, negative_slope=slope, alpha=alpha)
        acts_only(where, "negative_slope", slope, 0.01, act == "leaky_relu", "activation='leaky_relu'")
        acts_only(where, "alpha", alpha, 1.0, act in ("elu", "celu"), "activation='elu' or 'celu'")
        self.gate = make_gate(options.gate, where=where, allowed=PLANE_GATES)
        self.init_weights()

    def init_weights(self) -> None:
        """Sets BatchNorm's gamma to 0 where asked; call it after any generic initialisation."""
        if self.zero_gamma:
            nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map with the pooled axis kept at size 1: (B, C, 1, W), (B, C, H, 1) or (B, 1, H, W)."""
        axis = _POOLED_AXIS[self.plane]
        planes = torch.stack([pool_axis(x, name, axis) for name in self.pools], 1)
        if self.plane == "hc":
            planes = planes.transpose(2, 3)
        out = self.gate(self.act(self.bn(self.conv(planes))))
        if self.plane == "cw":
            return out.transpose(1, 2)
        if self.plane == "hc":
            return out.permute(0, 3, 2, 1)
        return out

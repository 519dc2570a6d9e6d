"""Triplet attention: three gates from three pairs of axes, with every choice of the ablations as an option.

Source: Misra, Nalamada, Arasanipalai, Hou, "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021. The
options pool, activation and gate are the sweeps of 004_19b35580bfaac8c6.txt; fusion is planned there.

The published code permutes x three times and pools over axis 1. Here the statistics are taken along each axis of x as
it lies, and the three small maps are added by broadcasting: x * fusion(g_CW, g_HC, g_HW). Same function, same
parameters, fewer full-size copies.
"""

import abc
from dataclasses import replace

from torch import Tensor, nn

from exp.nn.checks import acts_only, one_of
from exp.nn.fusion import BranchFusion
from exp.nn.plane_gate import PlaneGate, PlaneOptions

TRIPLET_GATES = ("sigmoid", "tanh", "softmax_map", "softmax_branch", "softmax_batch")


class TripletBase(nn.Module, abc.ABC):
    """Two rotated gates, a third branch that a subclass may supply, and their fusion.

    Args:
        channels: C.
        options: Of the gates; options.gate is one of TRIPLET_GATES.
        branches: 3, or 2 where third() is None.
        fusion: See BranchFusion.
    """

    def __init__(self, channels: int, options: PlaneOptions, *, branches: int, fusion: str) -> None:
        super().__init__()
        where = type(self).__name__
        one_of(where, "gate", options.gate, TRIPLET_GATES)
        self.compete = options.gate == "softmax_branch"
        # Competing branches need each other's logits, so their planes must not gate on their own.
        self.plane_options = replace(options, gate="none") if self.compete else options
        self.cw = PlaneGate("cw", self.plane_options, where=where)
        self.hc = PlaneGate("hc", self.plane_options, where=where)
        self.fusion = BranchFusion(branches, channels, fusion, where=where)

    def init_weights(self) -> None:
        """Restores the block's own starting values; call it after any generic initialisation."""
        for module in self.modules():
            if isinstance(module, (PlaneGate, BranchFusion)):
                module.init_weights()

    @abc.abstractmethod
    def third(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Returns the third branch's logit and value (equal unless the branches compete), or None for two branches."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x times the fused maps, same shape."""
        logits = [self.cw(x), self.hc(x)]
        values = [logit.sigmoid() for logit in logits] if self.compete else logits
        third = self.third(x)
        if third is not None:
            logits, values = [*logits, third[0]], [*values, third[1]]
        return x * self.fusion(values, logits if self.compete else None)


class Triplet(TripletBase):
    """Triplet attention, x (B, C, H, W) -> same shape.

    The defaults are the official form: [max, mean] pools, no activation between BatchNorm and gate, sigmoid, k = 7, no
    bias, mean of three: 3 (2 k^2 + 2) = 300 parameters whatever C. The form of 004_19b35580bfaac8c6.txt is
    pool="avg+max", activation="sigmoid" (its command line's default), bias=True.

    Sub-modules cw, hc and hw hold `conv` and `bn` each. They are cw, hc, hw of the official root file and ChannelGateH,
    ChannelGateW, SpatialGate of its MODELS file, with the kernels' axes in the same order.

    Args:
        channels: C; sizes the weights of fusion="conv", nothing else depends on it.
        pool: Ordered '+'-joined set, no repeats, of avg, max, median, l1, l2 (l1 and l2 not divided by the length).
        activation: Between BatchNorm and gate: none, sigmoid, tanh, relu, gelu, leaky_relu, elu or celu.
        gate: sigmoid | tanh | softmax_map (over the positions of a sample's map, rescaled to mean 1) | softmax_branch
            (the branches compete at each position, see BranchFusion.forward) | softmax_batch (the flaw of
            004_19b35580bfaac8c6.txt: over the batch, so samples depend on each other; for its published recipe only).
            A softmax over positions or batch does not see BatchNorm's beta unless an activation follows.
        kernel_size: Odd k.
        bias: Bias of the gate convolutions.
        fusion: mean | linear (one free weight a branch) | conv (n weights a channel).
        negative_slope: Slope of leaky_relu below zero.
        alpha: Scale of elu and celu below zero.
        spatial: False leaves out the un-rotated (H, W) branch, as the official no_spatial does: mean of two.
        zero_gamma: The un-rotated branch's BatchNorm gamma starts at 0, as the official ResNet initialises keys that
            contain "SpatialGate"; the branch then starts as the constant gate 0.5 (for sigmoid).

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
        spatial: bool = True,
        zero_gamma: bool = True,
    ) -> None:
        options = PlaneOptions(pool, activation, gate, kernel_size, bias, negative_slope, alpha)
        super().__init__(channels, options, branches=3 if spatial else 2, fusion=fusion)
        acts_only("Triplet", "zero_gamma", zero_gamma, True, spatial, "spatial=True")
        self.hw = PlaneGate("hw", self.plane_options, where="Triplet", zero_gamma=zero_gamma) if spatial else None

    def third(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.hw is None:
            return None
        gate = self.hw(x)
        return gate, gate.sigmoid() if self.compete else gate

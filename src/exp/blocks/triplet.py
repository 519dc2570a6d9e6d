"""Triplet attention: three gates from three pairs of axes, with every choice of the ablations as an option.

Source: Misra, Nalamada, Arasanipalai, Hou, "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021. The
options pool, activation and gate are the sweeps of 004_19b35580bfaac8c6.txt; fusion is planned there.

The published code permutes x three times and pools over axis 1. Here the statistics are taken along each axis of x as
it is stored, all three at once, and x is multiplied with the sum of three small maps: x * fusion(g_CW, g_HC, g_HW).
Same function, same parameters, no full-size copy.
"""

import abc
from typing import Any

from torch import Tensor, nn

from exp.blocks.fusion import BranchFusion
from exp.blocks.options import PlaneGateOptions, TripletOptions
from exp.blocks.plane_gate import POOLED_AXIS, Plane, PlaneGate
from exp.layers.activations import make_activation, make_gate
from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import pooled
from exp.layers.backend import eager_on_cpu


class TripletBase(nn.Module, abc.ABC):
    """Two rotated gates, a third branch that a subclass may supply, and their fusion.

    Args:
        channels: C of x (B, C, H, W).
        options: Of the two rotated gates, see ``PlaneGateOptions``.
        branches: 3, or 2 where ``third`` returns None.
    """

    def __init__(self, channels: int, options: PlaneGateOptions, *, branches: int) -> None:
        super().__init__()
        self.compete = options.gate == "softmax_branch"
        self.cw = self.plane_gate("cw", options)
        self.hc = self.plane_gate("hc", options)
        self.fusion = BranchFusion(branches, channels, options.fusion)

    def plane_gate(self, plane: Plane, options: PlaneGateOptions, *, zero_gamma: bool = False) -> PlaneGate:
        """Returns the gate of a plane; where branches compete for each other's logits, it is left without a gate."""
        return PlaneGate(
            plane,
            pool=options.pool,
            kernel_size=options.kernel_size,
            bias=options.bias,
            activation=make_activation(options.activation, negative_slope=options.negative_slope, alpha=options.alpha),
            gate=make_gate("none" if self.compete else options.gate),
            zero_gamma=zero_gamma,
        )

    def init_weights(self) -> None:
        """Restores the block's own starting values; call it after any generic initialisation."""
        for module in self.modules():
            if isinstance(module, (PlaneGate, BranchFusion)):
                module.init_weights()

    @abc.abstractmethod
    def third(self, x: Tensor, planes: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        """Returns the third branch's logit and value (equal unless the branches compete), or None for two branches.

        Args:
            x: (B, C, H, W).
            planes: Its statistics over C, where they were taken with those of the other two axes.
        """

    def pooled(self) -> tuple[Plane, ...]:
        """Returns the planes whose statistics are taken together: those of the rotated gates, and of ``third``."""
        return "cw", "hc"

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the fused maps, same shape."""
        axes = [POOLED_AXIS[plane] for plane in self.pooled()]
        (cw, hc, *more), joint = pooled(x, self.cw.pools, axes, tuple((branch,) for branch in range(len(axes))))
        logits = [self.cw(x, cw), self.hc(x, hc)]
        values = [logit.sigmoid() for logit in logits] if self.compete else logits
        third = self.third(x, *more)
        if third is not None:
            logits, values = [*logits, third[0]], [*values, third[1]]
        if self.compete or not eager_on_cpu(x):
            return x * self.fusion(values, logits if self.compete else None)
        return scaled(x, [(term,) for term in self.fusion.terms(values)], joint)


class Triplet(TripletBase):
    """Triplet attention, x (B, C, H, W) -> same shape.

    The defaults are the official form: maximum and mean as statistics, no activation between batch norm and gate,
    sigmoid, k = 7, no bias, mean of three: 3 (2 k^2 + 2) = 300 parameters whatever C. The form of
    004_19b35580bfaac8c6.txt is ``pool="avg+max"``, ``activation="sigmoid"`` (its command line's default) and
    ``bias=True``. A softmax over positions or batch does not see batch norm's beta unless an activation follows it.

    Sub-modules ``cw``, ``hc`` and ``hw`` hold ``conv`` and ``bn`` each. They are ``cw``, ``hc``, ``hw`` of the official
    root file and ``ChannelGateH``, ``ChannelGateW``, ``SpatialGate`` of its MODELS file, with the kernels' axes in the
    same order.

    Args:
        channels: C; sizes the weights of ``fusion="conv"``, nothing else depends on it.
        options: See ``TripletOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: TripletOptions | None = None, **given: Any) -> None:
        options = TripletOptions.of(options, given)
        super().__init__(channels, options, branches=3 if options.spatial else 2)
        self.hw = self.plane_gate("hw", options, zero_gamma=options.zero_gamma) if options.spatial else None

    def pooled(self) -> tuple[Plane, ...]:
        return super().pooled() if self.hw is None else ("cw", "hc", "hw")

    def third(self, x: Tensor, planes: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        if self.hw is None:
            return None
        gate = self.hw(x, planes)
        return gate, gate.sigmoid() if self.compete else gate

"""CBAM: a channel gate from global statistics, then a spatial gate.

Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, and its authors' code (whose lse
pool is the sum form).
"""

import torch
from torch import Tensor, nn

from exp.nn.activations import GATES, make_gate
from exp.nn.checks import acts_only, at_least, plus_set
from exp.nn.plane_gate import PlaneGate, PlaneOptions
from exp.nn.pools import GLOBAL_POOLS, pool_axis


class CBAM(nn.Module):
    """CBAM, x (B, C, H, W) -> same shape.

    Channel gate: global statistics, each through one shared MLP C -> C // reduction -> C with ReLU, summed, gated.
    Spatial gate: [max, mean] over C, k x k convolution without bias, BatchNorm with momentum 0.01, gated. Parameters of
    the defaults: 2 C m + m + C + 100 with m = C // 16.

    Args:
        channels: C.
        reduction: Divisor of C for the hidden width (at least 1 unit).
        pool: Ordered '+'-joined set of avg, max, lp (2-norm over the positions), lse (log of the sum of exponentials).
        kernel_size: Odd k of the spatial gate.
        gate: sigmoid, tanh or hard_sigmoid, for both gates.
        bias: Of the MLP's two layers (timm's CBAM has none).
        spatial: False leaves the spatial gate out, as the official no_spatial does.
        zero_gamma: The spatial gate's BatchNorm gamma starts at 0, as in the official ResNet.

    Raises:
        ValueError: For a value outside those named, or an option that the others leave without effect.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        pool: str = "avg+max",
        kernel_size: int = 7,
        gate: str = "sigmoid",
        bias: bool = True,
        spatial: bool = True,
        zero_gamma: bool = True,
    ) -> None:
        super().__init__()
        self.pools = plus_set("CBAM", "pool", pool, GLOBAL_POOLS)
        hidden = max(1, channels // at_least("CBAM", "reduction", reduction, 1))
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=bias), nn.ReLU(), nn.Linear(hidden, channels, bias=bias)
        )
        self.gate = make_gate(gate, where="CBAM", allowed=GATES)
        acts_only("CBAM", "kernel_size", kernel_size, 7, spatial, "spatial=True")
        acts_only("CBAM", "zero_gamma", zero_gamma, True, spatial, "spatial=True")
        options = PlaneOptions(gate=gate, kernel_size=kernel_size)
        self.spatial = PlaneGate("hw", options, where="CBAM", zero_gamma=zero_gamma) if spatial else None

    def init_weights(self) -> None:
        """Restores the spatial gate's starting gamma; call it after any generic initialisation."""
        if self.spatial is not None:
            self.spatial.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x times the channel gate, then times the spatial gate; same shape."""
        flat = x.flatten(2)
        pooled = torch.stack([pool_axis(flat, name, 2) for name in self.pools], 1)
        x = x * self.gate(self.mlp(pooled).sum(1))[:, :, None, None]
        return x if self.spatial is None else x * self.spatial(x)

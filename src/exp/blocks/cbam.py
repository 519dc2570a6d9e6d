"""CBAM: a channel gate from global statistics, then a spatial gate.

Source: Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018, and its authors' code (whose lse
pool is the sum form).
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.options import CBAMOptions
from exp.blocks.plane_gate import PlaneGate
from exp.layers.activations import make_gate
from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import pooled


class CBAM(nn.Module):
    """CBAM, x (B, C, H, W) -> same shape.

    Channel gate: global statistics, each through one shared MLP C -> m -> C with ReLU, summed, gated; m = C //
    reduction, at least 1. Spatial gate: maximum and mean over C, k x k convolution without bias, batch norm with
    momentum 0.01, gated. Parameters of the defaults: 2 C m + m + C + 100 with m = C // 16.

    Args:
        channels: C.
        options: See ``CBAMOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: CBAMOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = CBAMOptions.of(options, given)
        self.pools = tuple(options.pool.split("+"))
        hidden = max(1, channels // options.reduction)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=options.bias), nn.ReLU(), nn.Linear(hidden, channels, bias=options.bias)
        )
        self.gate = make_gate(options.gate)
        self.spatial = _spatial_gate(options) if options.spatial else None

    def init_weights(self) -> None:
        """Restores the spatial gate's starting gamma; call it after any generic initialisation."""
        if self.spatial is not None:
            self.spatial.init_weights()

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the channel gate, then times the spatial gate; same shape."""
        (statistics,), joint = pooled(x, self.pools, [(2, 3)], ((0,),))
        x = scaled(x, [(self.gate(self.mlp(statistics).sum(1))[:, :, None, None],)], joint)
        if self.spatial is None:
            return x
        (planes,), joint = pooled(x, self.spatial.pools, [1], ((0,),))
        return scaled(x, [(self.spatial(x, planes),)], joint)


def _spatial_gate(options: CBAMOptions) -> PlaneGate:
    return PlaneGate(
        "hw",
        pool="max+avg",
        kernel_size=options.kernel_size,
        bias=False,
        activation=nn.Identity(),
        gate=make_gate(options.gate),
        zero_gamma=options.zero_gamma,
    )

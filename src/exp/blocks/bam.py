"""BAM: a bottleneck attention module between two stages.

Source: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, and its authors' code (which cannot be
built as published: it uses an undefined name).
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.options import BAMOptions
from exp.layers.activations import make_gate


class BAM(nn.Module):
    """x * (1 + gate(channel * spatial)), x (B, C, H, W) -> same shape; its place is between the stages.

    Channel: mean over the positions, 1x1 C -> m, batch norm, ReLU, 1x1 m -> C, with m = C // reduction, at least 1.
    Spatial: 1x1 C -> m, batch norm, ReLU, two dilated 3x3 with batch norm and ReLU each, 1x1 m -> 1; all with bias.
    C = 64 has 1,173 parameters. The paper adds the two, its code multiplies them.

    In training the channel half's batch norm is given one value a sample, so a batch (or a device's share) of one image
    is refused by torch.

    Args:
        channels: C.
        options: See ``BAMOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: BAMOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = BAMOptions.of(options, given)
        hidden, dilation = max(1, channels // options.reduction), options.dilation
        self.product = options.join == "product"
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        for _ in range(2):
            layers += [
                nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation),
                nn.BatchNorm2d(hidden),
                nn.ReLU(),
            ]
        self.spatial = nn.Sequential(*layers, nn.Conv2d(hidden, 1, 1))
        self.gate = make_gate(options.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times one plus the gate, same shape."""
        channel, spatial = self.channel(x.mean((2, 3), keepdim=True)), self.spatial(x)
        return x * (1 + self.gate(channel * spatial if self.product else channel + spatial))

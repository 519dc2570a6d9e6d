"""BAM: a bottleneck attention module between two stages.

Source: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018, and its authors' code (which cannot be
built as published: it uses an undefined name).
"""

from torch import Tensor, nn

from exp.nn.activations import GATES, make_gate
from exp.nn.checks import at_least, one_of

BAM_JOINS = ("product", "sum")


class BAM(nn.Module):
    """x * (1 + gate(channel * spatial)), x (B, C, H, W) -> same shape; its place is between the stages.

    Channel: mean over the positions, 1x1 C -> m, BatchNorm, ReLU, 1x1 m -> C, with m = C // reduction. Spatial: 1x1
    C -> m, BatchNorm, ReLU, two dilated 3x3 with BatchNorm and ReLU each, 1x1 m -> 1; all with bias. C = 64 has 1,173
    parameters. The paper adds the two, its code multiplies them.

    In training the channel half's BatchNorm sees one value a sample, so a batch (or a device's share) of one image is
    refused by torch.

    Args:
        channels: C.
        reduction: Divisor of C for m (at least 1 unit).
        dilation: Of the two 3x3 convolutions.
        gate: sigmoid, tanh or hard_sigmoid.
        join: product (the code) or sum (the paper) of channel and spatial logits.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self, channels: int, *, reduction: int = 16, dilation: int = 4, gate: str = "sigmoid", join: str = "product"
    ) -> None:
        super().__init__()
        hidden = max(1, channels // at_least("BAM", "reduction", reduction, 1))
        at_least("BAM", "dilation", dilation, 1)
        self.product = one_of("BAM", "join", join, BAM_JOINS) == "product"
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
        self.gate = make_gate(gate, where="BAM", allowed=GATES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x times one plus the gate, same shape."""
        channel, spatial = self.channel(x.mean((2, 3), keepdim=True)), self.spatial(x)
        return x * (1 + self.gate(channel * spatial if self.product else channel + spatial))

"""The channel half of the step-2 block: average and maximum weighed by sample, then one gate a channel.

Source: 003_9e75db76f5a1d95d.txt (sections A1 to A3) and the module it describes.
"""

import torch
from torch import Tensor, nn

from exp.blocks.options import Step2Options
from exp.blocks.temperature import Temperature
from exp.layers.activations import make_activation, make_gate
from exp.layers.axis_pools import pool_axes


class Step2Channel(nn.Module):
    """Channel gate (B, C, 1, 1) of x (B, C, H, W).

    Mean and maximum over the positions pass one shared MLP C -> hidden -> C with bias. Their logits are summed, or
    mixed with two weights a sample from a router that is given both: w0 + w1 = 1 (published; half the scale of the
    sum), or 2 (softmax_scaled, the scale of the sum).

    Args:
        channels: C.
        options: See ``Step2Options``.
    """

    def __init__(self, channels: int, options: Step2Options) -> None:
        super().__init__()
        hidden = max(options.min_hidden, channels // options.reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), make_activation(options.activation), nn.Conv2d(hidden, channels, 1)
        )
        self.scale = 2.0 if options.fusion == "softmax_scaled" else 1.0
        self.router: nn.Module | None = None
        if options.fusion != "sum":
            self.router = nn.Sequential(
                nn.Conv2d(2 * channels, options.fusion_hidden, 1), nn.ReLU(), nn.Conv2d(options.fusion_hidden, 2, 1)
            )
        self.router_weights = nn.Softmax(dim=1)
        self.temperature = Temperature(
            options.temperature, learnable=options.learnable_temperature, inverse=options.temperature_inverse
        )
        self.gate = make_gate(options.gate)

    def forward(self, x: Tensor, statistics: Tensor | None = None) -> Tensor:
        """Returns the gate.

        Args:
            x: (B, C, H, W).
            statistics: Its mean and maximum over the positions (B, 2, C) as of ``pool_axes``; taken here if not given.
        """
        if statistics is None:
            (statistics,) = pool_axes(x, ("avg", "max"), [(2, 3)])
        average, largest = statistics[..., None, None].unbind(1)
        a, m = self.mlp(average), self.mlp(largest)
        if self.router is None:
            logits = a + m
        else:
            weights = self.router_weights(self.router(torch.cat([average, largest], 1)))
            logits = self.scale * (weights[:, :1] * a + weights[:, 1:] * m)
        return self.gate(self.temperature(logits))

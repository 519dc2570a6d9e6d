"""The channel half of the step-2 block: average and maximum weighed by sample, then one gate a channel.

Source: 003_9e75db76f5a1d95d.txt (sections A1 to A3) and the module it describes.
"""

import torch
from torch import Tensor, nn

from exp.nn.activations import make_activation, make_gate
from exp.nn.checks import at_least, one_of
from exp.nn.temperature import Temperature

STEP2_FUSIONS = ("softmax", "softmax_scaled", "sum")
STEP2_ACTIVATIONS = ("relu", "silu")
STEP2_GATES = ("sigmoid", "hard_sigmoid")


class Step2Channel(nn.Module):
    """Channel gate (B, C, 1, 1) of x (B, C, H, W).

    Mean and maximum over the positions pass one shared MLP C -> hidden -> C with bias. Their logits are summed, or
    mixed with two weights a sample from a router that sees both: w0 + w1 = 1 (published; half the scale of the sum), or
    2 (softmax_scaled, the scale of the sum).

    Args:
        channels: C.
        reduction: Divisor of C for the hidden width.
        min_hidden: Smallest hidden width.
        fusion: softmax, softmax_scaled or sum.
        router_hidden: Hidden width of the router; no router with sum.
        activation: Of the MLP, relu or silu.
        gate: sigmoid or hard_sigmoid.
        temperature: Divides the logits.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int,
        min_hidden: int,
        fusion: str,
        router_hidden: int,
        activation: str,
        gate: str,
        temperature: Temperature,
    ) -> None:
        super().__init__()
        where = "Step2"
        one_of(where, "fusion", fusion, STEP2_FUSIONS)
        at_least(where, "min_hidden", min_hidden, 1)
        hidden = max(min_hidden, channels // at_least(where, "reduction", reduction, 1))
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            make_activation(activation, where=where, allowed=STEP2_ACTIVATIONS),
            nn.Conv2d(hidden, channels, 1),
        )
        at_least(where, "fusion_hidden", router_hidden, 1)
        self.scale = 2.0 if fusion == "softmax_scaled" else 1.0
        self.router: nn.Module | None = None
        if fusion != "sum":
            self.router = nn.Sequential(
                nn.Conv2d(2 * channels, router_hidden, 1), nn.ReLU(), nn.Conv2d(router_hidden, 2, 1)
            )
        self.router_weights = nn.Softmax(dim=1)
        self.temperature = temperature
        self.gate = make_gate(gate, where=where, allowed=STEP2_GATES)

    def forward(self, x: Tensor) -> Tensor:
        average = x.mean((2, 3), keepdim=True)
        largest = x.flatten(2).max(2)[0][:, :, None, None]
        a, m = self.mlp(average), self.mlp(largest)
        if self.router is None:
            logits = a + m
        else:
            weights = self.router_weights(self.router(torch.cat([average, largest], 1)))
            logits = self.scale * (weights[:, :1] * a + weights[:, 1:] * m)
        return self.gate(self.temperature(logits))

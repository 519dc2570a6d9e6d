"""Squeeze-and-excitation: a channel gate from the global mean.

Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018; the hidden width follows timm's SEModule.
"""

from torch import Tensor, nn

from exp.nn.activations import GATES, make_activation, make_gate
from exp.nn.checks import at_least


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation, x (B, C, H, W) -> same shape.

    The hidden width is C / reduction rounded to the nearest multiple of 8, at least 8 (timm's rule with round limit 0).

    Args:
        channels: C.
        reduction: Divisor of C for the hidden width.
        activation: Between the two layers, one of exp.nn.activations.ACTIVATIONS.
        gate: sigmoid, tanh or hard_sigmoid.
        bias: Of both layers.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self, channels: int, *, reduction: int = 16, activation: str = "relu", gate: str = "sigmoid", bias: bool = True
    ) -> None:
        super().__init__()
        where = "SqueezeExcite"
        hidden = max(8, int(channels / at_least(where, "reduction", reduction, 1) + 4) // 8 * 8)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.act = make_activation(activation, where=where)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=bias)
        self.gate = make_gate(gate, where=where, allowed=GATES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x times the channel gate, same shape."""
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))

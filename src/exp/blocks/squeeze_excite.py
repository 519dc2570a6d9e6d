"""Squeeze-and-excitation: a channel gate from the global mean.

Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018; the hidden width follows timm's SEModule.
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.options import SqueezeExciteOptions
from exp.layers.activations import make_activation, make_gate
from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import pooled


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation, x (B, C, H, W) -> same shape.

    The hidden width is C / reduction rounded to the nearest multiple of 8, at least 8 (timm's rule with round limit 0).

    Args:
        channels: C.
        options: See ``SqueezeExciteOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: SqueezeExciteOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = SqueezeExciteOptions.of(options, given)
        hidden = max(8, int(channels / options.reduction + 4) // 8 * 8)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=options.bias)
        self.act = make_activation(options.activation)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=options.bias)
        self.gate = make_gate(options.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the channel gate, same shape."""
        (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
        gate = self.gate(self.fc2(self.act(self.fc1(mean.transpose(1, 2).unsqueeze(3)))))
        return scaled(x, [(gate,)], joint)

"""The attention of the Visual Attention Network: large-kernel attention between two 1x1 convolutions, with a skip.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023, and its authors' code.
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.lka import LKA
from exp.blocks.options import VANAttentionOptions
from exp.layers.activations import make_activation


class VANAttention(nn.Module):
    """1x1, activation, large-kernel attention, 1x1, plus the input; x (B, C, H, W) -> same shape.

    The defaults are the official form with its key names: C = 64 has 17,344 parameters.

    Args:
        channels: C.
        options: See ``VANAttentionOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: VANAttentionOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = VANAttentionOptions.of(options, given)
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.activation = make_activation(options.activation)
        self.spatial_gating_unit = LKA(channels, activation=options.lka_activation, **options.large_kernel())
        self.proj_2 = nn.Conv2d(channels, channels, 1)
        self.skip = options.skip

    def forward(self, x: Tensor) -> Tensor:
        """Returns the attended features of x (B, C, H, W), same shape."""
        y = self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))
        return x + y if self.skip else y

"""The attention of the Visual Attention Network: large-kernel attention between two 1x1 convolutions, with a skip.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023, and its authors' code. The
branches and RepLKNet's block in place of the large kernel are variants in the final report of the project behind
004_19b35580bfaac8c6.txt, as its code of c381599 builds them.
"""

from typing import Any

import torch
from torch import Tensor, nn

from exp.blocks.lka import LKA
from exp.blocks.options import VANAttentionOptions
from exp.blocks.replk import RepLKBlock
from exp.layers.activations import make_activation


class ParallelLKA(nn.Module):
    """Large-kernel attentions that differ in their dilated convolution, (B, C, H, W) -> (B, n C, H, W).

    Args:
        channels: C.
        sides: n sides of dilated convolutions.
        given: Options of all of them, see ``LKAOptions``.
    """

    def __init__(self, channels: int, sides: list[int], **given: Any) -> None:
        super().__init__()
        self.units = nn.ModuleList([LKA(channels, dilated=side, **given) for side in sides])

    def forward(self, x: Tensor) -> Tensor:
        """Returns what each makes of x (B, C, H, W), one after the other, (B, n C, H, W)."""
        return torch.cat([unit(x) for unit in self.units], 1)


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
        sides = [int(side) for side in options.branches.split("+")] if options.branches else []
        self.spatial_gating_unit: nn.Module
        if options.unit == "replk":
            self.spatial_gating_unit = RepLKBlock(channels)
        elif sides:
            self.spatial_gating_unit = ParallelLKA(channels, sides, **options.lka())
        else:
            self.spatial_gating_unit = LKA(channels, **options.lka())
        self.proj_2 = nn.Conv2d(channels * max(1, len(sides)), channels, 1)
        self.skip = options.skip

    def forward(self, x: Tensor) -> Tensor:
        """Returns the attended features of x (B, C, H, W), same shape."""
        y = self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))
        return x + y if self.skip else y

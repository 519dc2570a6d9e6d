"""DLA-34: a residual network whose stages join what their blocks see in trees.

Source: Yu, Wang, Shelhamer, Darrell, "Deep Layer Aggregation", CVPR 2018, in its form for images without
classifier; the backbone of the largest published lane language model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exp.layers.init import init_residual

_DEPTHS = (1, 2, 2, 1)
"""Depth of the trees of the stages at strides 4, 8, 16 and 32; a tree of depth d has 2**d blocks."""


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class DLABlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride)
        self.second = _convolution(outputs, outputs, 3)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """Maps x, with the shortcut in the output's shape added before the last ReLU."""
        return torch.relu(self.second(torch.relu(self.first(x))) + shortcut)


class DLATree(nn.Module):
    """Blocks in a binary tree whose roots join all that hangs below them.

    Args:
        depth: Depth of the tree.
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Stride of the first block.
        joined: Channels that the root takes besides its two subtrees'.
        with_input: Whether the root takes the input too, brought to the output's size.
    """

    def __init__(
        self, depth: int, inputs: int, outputs: int, *, stride: int = 1, joined: int = 0, with_input: bool = False
    ) -> None:
        super().__init__()
        self.depth, self.with_input = depth, with_input
        joined += inputs if with_input else 0
        self.smaller = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        if depth == 1:
            self.project = _convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()
            self.left: nn.Module = DLABlock(inputs, outputs, stride)
            self.right: nn.Module = DLABlock(outputs, outputs)
            self.root = _convolution(2 * outputs + joined, outputs, 1)
        else:
            self.left = DLATree(depth - 1, inputs, outputs, stride=stride)
            self.right = DLATree(depth - 1, outputs, outputs, joined=joined + outputs)

    def forward(self, x: Tensor, below: Sequence[Tensor] = ()) -> Tensor:
        """Maps x (B, inputs, H, W) to (B, outputs, H / stride, W / stride); ``below`` is what the root takes too."""
        small = self.smaller(x)
        if self.with_input:
            below = (*below, small)
        if self.depth > 1:
            return self.right(left := self.left(x), (*below, left))
        left = self.left(x, self.project(small))
        right = self.right(left, left)
        return torch.relu(self.root(torch.cat([right, left, *below], 1)))


class DLA34(nn.Module):
    """Images (B, 3, H, W) -> feature maps at strides 4, 8, 16 and 32.

    Args:
        width: Channels of the first stage, a multiple of 4; the others have 2, 4 and 8 times as many.

    Attributes:
        stage_channels: Output channels of the four stages.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stage_channels = (width, 2 * width, 4 * width, 8 * width)
        low, mid = width // 4, width // 2
        stem = [_convolution(3, low, 7), nn.ReLU(), _convolution(low, low, 3), nn.ReLU()]
        self.stem = nn.Sequential(*stem, _convolution(low, mid, 3, 2), nn.ReLU())
        channels = (mid, *self.stage_channels)
        self.trees = nn.ModuleList(
            DLATree(depth, channels[stage], channels[stage + 1], stride=2, with_input=stage > 0)
            for stage, depth in enumerate(_DEPTHS)
        )
        init_residual(self)

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        """Returns the feature maps of the four stages."""
        x, maps = self.stem(x), []
        for tree in self.trees:
            x = tree(x)
            maps.append(x)
        return maps

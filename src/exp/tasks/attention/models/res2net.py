"""Res2Net-50: bottlenecks whose 3x3 convolution is a chain of narrow ones, with attention at a chosen place.

Source: Gao, Cheng, Zhao, Zhang, Yang, Torr, "Res2Net: A New Multi-scale Backbone Architecture", IEEE TPAMI 2021, and
its authors' code, whose key names are kept. 4 groups of 26 channels are the published res2net50_26w_4s.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from exp.layers.resnet import AttentionFactory, Residual, ResNet
from exp.tasks.attention.options import Res2Net50Options


class Res2NetBlock(Residual):
    """A bottleneck, (B, C, H, W) -> (B, 4 planes, H / stride, W / stride).

    The reduced features are cut into ``scale`` groups of ``planes * base_width / 64`` channels. Each but the last goes
    through a 3x3 convolution of its own, after the result of the group before it has been added; the last stays as it
    is. The first block of a stage adds nothing and pools the last group.
    """

    expansion = 4
    last_norm = "bn3"

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        att: AttentionFactory | None,
        placement: str,
        *,
        base_width: int,
        scale: int,
    ) -> None:
        group = max(1, planes * base_width // 64)
        super().__init__(in_channels, planes, stride, att, placement, mid=group * scale)
        self.group = group
        self.conv1 = nn.Conv2d(in_channels, group * scale, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(group * scale)
        self.convs = nn.ModuleList(nn.Conv2d(group, group, 3, stride, 1, bias=False) for _ in range(scale - 1))
        self.bns = nn.ModuleList(nn.BatchNorm2d(group) for _ in range(scale - 1))
        self.pool = None if self.downsample is None else nn.AvgPool2d(3, stride, 1)
        self.conv3 = nn.Conv2d(group * scale, self.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend("block_start", x)
        *groups, last = self.relu(self.bn1(self.conv1(branch))).split(self.group, 1)
        parts: list[Tensor] = []
        for part, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            chained = part if not parts or self.pool is not None else part + parts[-1]
            parts.append(self.relu(bn(conv(chained))))
        parts.append(last if self.pool is None else self.pool(last))
        return self.join(self.bn3(self.conv3(self.attend("branch_mid", torch.cat(parts, 1)))), x)


class Res2Net(ResNet):
    """Res2Net-50, images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        options: See ``Res2Net50Options``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: Not needed; images may have any size.
        att: Builds an attention block for a channel count, or None for the plain network.
        placement: As in ``ResNet``; branch_mid is where the groups have been joined, before the last 1x1 convolution.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: An option or argument is out of bounds, or the stem is still auto.
    """

    def __init__(
        self,
        options: Res2Net50Options | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        options = Res2Net50Options.of(options, given)
        super().__init__(
            options,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            att=att,
            placement=placement,
            block=partial(Res2NetBlock, base_width=options.base_width, scale=options.scale),
        )

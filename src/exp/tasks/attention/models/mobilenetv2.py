"""MobileNetV2 with an attention block at a chosen place.

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018. Key
names are torchvision's. Places of attention: after the linear projection (triplet attention's code) and after the
depthwise convolution (coordinate attention's code).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from exp.layers.init import init_residual
from exp.layers.resnet import AttentionFactory, check_network, chosen_stem, follows_stage
from exp.tasks.attention.options import MobileNetV2Options

# Expansion, channels, blocks, stride.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _LAST = 32, 1280


def _divisible(channels: float) -> int:
    """Returns the nearest multiple of 8, at least 8 and never below nine tenths of what was asked for."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _conv(in_channels: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
    )


class _InvertedResidual(nn.Module):
    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        expansion: int,
        att: AttentionFactory | None,
        placement: str,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_conv(in_channels, hidden, 1))
        layers += [
            _conv(hidden, hidden, 3, stride, hidden),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.skip = stride == 1 and in_channels == channels
        self.placement = placement
        places = {"block_start": in_channels, "branch_end": channels, "block_end": channels}
        if expansion != 1:
            places["branch_mid"] = hidden
        self.att = att(places[placement]) if att is not None and placement in places else None

    def attend(self, place: str, x: Tensor) -> Tensor:
        return self.att(x) if self.att is not None and self.placement == place else x

    def forward(self, x: Tensor) -> Tensor:
        *inner, projection, norm = self.conv
        branch = self.attend("block_start", x)
        for layer in inner:
            branch = layer(branch)
        branch = self.attend("branch_end", norm(projection(self.attend("branch_mid", branch))))
        return self.attend("block_end", x + branch if self.skip else branch)


class MobileNetV2(nn.Module):
    """MobileNetV2, images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        options: See ``MobileNetV2Options``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: Not needed; images may have any size.
        att: Builds an attention block for a channel count, or None for the plain network.
        placement: Where the attention blocks go. branch_end: after the linear projection and its batch norm.
            branch_mid: after the depthwise convolution, batch norm and ReLU6, on the expanded channels; not in the
            first block, which does not expand. block_start: before the block's first convolution, on the branch only.
            block_end: after the addition. stage_end, between_stages: after each of the seven stages, the latter not
            after the last.
        given: Options by name, in place of ``options``.

    Attributes:
        stage_channels: Output channels of the seven stages.

    Raises:
        ValueError: An option or argument is out of bounds, or the stem is still auto.
    """

    def __init__(
        self,
        options: MobileNetV2Options | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = MobileNetV2Options.of(options, given)
        check_network("MobileNetV2", num_classes=num_classes, in_channels=in_channels, placement=placement)
        small = chosen_stem("MobileNetV2", options.stem) == "cifar"
        width = options.width
        channels = _divisible(_STEM * width)
        last = _divisible(_LAST * max(1.0, width))
        layers: list[nn.Module] = [_conv(in_channels, channels, 3, 1 if small else 2)]
        stage_channels, ends = [], []
        for i, (expansion, base, count, stride) in enumerate(_STAGES):
            wide = _divisible(base * width)
            stride = 1 if small and i == 1 else stride
            for j in range(count):
                layers.append(_InvertedResidual(channels, wide, stride if j == 0 else 1, expansion, att, placement))
                channels = wide
            if att is not None and follows_stage(placement, i, len(_STAGES)):
                layers.append(att(channels))
            stage_channels.append(channels)
            ends.append(len(layers))
        layers.append(_conv(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.stage_channels: Sequence[int] = tuple(stage_channels)
        self.stage_ends = tuple(ends)
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(last, num_classes))
        self.init_weights()

    def init_weights(self) -> None:
        """Kaiming convolutions, BatchNorm 1/0, head normal 0.01, biases 0, then each attention block's own values."""
        init_residual(self)
        for module in self.classifier.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        """Returns the outputs of the seven stages: strides 2, 4, 8, 16, 16, 32, 32 (imagenet), a quarter with cifar."""
        features = []
        *layers, _ = self.features
        for place, layer in enumerate(layers, 1):
            x = layer(x)
            if place in self.stage_ends:
                features.append(x)
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last feature map (B, 1280, h, w)."""
        return self.features[-1](self.forward_stages(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.classifier(self.forward_features(x).mean((2, 3)))

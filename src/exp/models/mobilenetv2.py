"""MobileNetV2 with an attention block at a chosen place.

Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018. Key
names are torchvision's. Places of attention: after the linear projection (triplet attention's code) and after the
depthwise convolution (coordinate attention's code).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from exp.models.resnet import PLACEMENTS, AttentionFactory, stands_after
from exp.nn.checks import at_least, one_of
from exp.nn.init import init_residual

STEMS = ("cifar", "imagenet")
# Expansion, channels, blocks, stride.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _LAST = 32, 1280


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and never below nine tenths of what was asked for."""
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
        num_classes: Number of logits.
        in_channels: Channels of the input.
        stem: imagenet (total stride 32) or cifar (the first and the second halving left out: total stride 8).
        width: Factor of all channel counts but the last convolution's below 1; rounded to multiples of 8.
        dropout: Before the classifier.
        att: Builds an attention block for a channel count, or None for the plain network.
        placement: Where `att` stands. branch_end: after the linear projection and its BatchNorm. branch_mid: after the
            depthwise convolution, BatchNorm and ReLU6, on the expanded channels; not in the first block, which does
            not expand. block_start: before the block's first convolution, on the branch only. block_end: after the
            add. stage_end, between_stages: after each of the seven stages, the latter not after the last.

    Attributes:
        stage_channels: Output channels of the seven stages.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "imagenet",
        width: float = 1.0,
        dropout: float = 0.2,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        one_of("MobileNetV2", "stem", stem, STEMS)
        one_of("MobileNetV2", "placement", placement, PLACEMENTS)
        at_least("MobileNetV2", "num_classes", num_classes, 1)
        at_least("MobileNetV2", "in_channels", in_channels, 1)
        if not width > 0:
            raise ValueError(f"MobileNetV2: width={width!r} must be above 0")
        small = stem == "cifar"
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
            if att is not None and stands_after(placement, i, len(_STAGES)):
                layers.append(att(channels))
            stage_channels.append(channels)
            ends.append(len(layers))
        layers.append(_conv(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.stage_channels: Sequence[int] = tuple(stage_channels)
        self.stage_ends = tuple(ends)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
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

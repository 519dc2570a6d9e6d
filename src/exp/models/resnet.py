"""ResNet-18/34/50/101 with an attention block at a chosen place.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride of a bottleneck
on its 3x3 convolution. Key names are torchvision's, so its weights can be loaded into the plain network.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from exp.nn.checks import at_least, one_of, one_of_ints
from exp.nn.init import init_residual

AttentionFactory = Callable[[int], nn.Module]

STEMS = ("cifar", "imagenet")
PLACEMENTS = ("branch_end", "branch_mid", "block_start", "block_end", "stage_end", "between_stages")


def stands_after(placement: str, stage: int, stages: int) -> bool:
    """Whether a block placed so stands after stage number `stage` of `stages`."""
    return placement == "stage_end" or (placement == "between_stages" and stage < stages - 1)


class Residual(nn.Module):
    """What all kinds of block share: the shortcut, the final ReLU and the place of the attention block.

    `mid` is the number of channels at branch_mid, `planes` where not given.
    """

    expansion: int
    last_norm: str

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        att: AttentionFactory | None,
        placement: str,
        *,
        mid: int | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels = planes * self.expansion
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.placement = placement
        at_place = {
            "block_start": in_channels,
            "branch_mid": planes if mid is None else mid,
            "branch_end": out_channels,
            "block_end": out_channels,
        }
        self.att = att(at_place[placement]) if att is not None and placement in at_place else None

    def attend(self, place: str, x: Tensor) -> Tensor:
        return self.att(x) if self.att is not None and self.placement == place else x

    def join(self, branch: Tensor, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.attend("block_end", self.relu(self.attend("branch_end", branch) + shortcut))


class BasicBlock(Residual):
    """Two 3x3 convolutions, (B, C, H, W) -> (B, planes, H / stride, W / stride)."""

    expansion = 1
    last_norm = "bn2"

    def __init__(
        self, in_channels: int, planes: int, stride: int, att: AttentionFactory | None, placement: str
    ) -> None:
        super().__init__(in_channels, planes, stride, att, placement)
        self.conv1 = nn.Conv2d(in_channels, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend("block_start", x)
        branch = self.attend("branch_mid", self.relu(self.bn1(self.conv1(branch))))
        return self.join(self.bn2(self.conv2(branch)), x)


class Bottleneck(Residual):
    """1x1, 3x3, 1x1 convolutions, (B, C, H, W) -> (B, 4 planes, H / stride, W / stride)."""

    expansion = 4
    last_norm = "bn3"

    def __init__(
        self, in_channels: int, planes: int, stride: int, att: AttentionFactory | None, placement: str
    ) -> None:
        super().__init__(in_channels, planes, stride, att, placement)
        self.conv1 = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend("block_start", x)
        branch = self.relu(self.bn1(self.conv1(branch)))
        branch = self.attend("branch_mid", self.relu(self.bn2(self.conv2(branch))))
        return self.join(self.bn3(self.conv3(branch)), x)


_DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}
DEPTHS = tuple(_DEPTHS)


BlockFactory = Callable[[int, int, int, AttentionFactory | None, str], Residual]
"""Builds a block from its input channels, planes, stride, attention and placement."""


class ResNet(nn.Module):
    """ResNet, images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        depth: 18, 34, 50 or 101.
        num_classes: Number of logits.
        in_channels: Channels of the input; 1 for grey images such as 48x48 faces.
        stem: cifar (3x3, stride 1, no pooling) or imagenet (7x7, stride 2, then 3x3 max pooling, stride 2).
        width: Channels of the stem; the stages' 3x3 convolutions have 1, 2, 4 and 8 times as many.
        att: Builds an attention block for a channel count, or None for the plain network.
        placement: Where `att` stands. branch_end: after the residual branch's last BatchNorm, before the add.
            branch_mid: after the BatchNorm and ReLU of a basic block's first convolution, of a bottleneck's 3x3.
            block_start: before the branch's first convolution, on the branch only. block_end: after the add and the
            final ReLU. stage_end: once after each stage. between_stages: after each stage but the last, BAM's place.
        zero_init_residual: Start each branch's last BatchNorm gamma at 0, so that blocks start as their shortcut.
        block: Builds the residual blocks; None takes those of the depth.

    Attributes:
        stage_channels: Output channels of the four stages.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        depth: int,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "cifar",
        width: int = 64,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        zero_init_residual: bool = False,
        block: BlockFactory | None = None,
    ) -> None:
        super().__init__()
        own, counts = _DEPTHS[one_of_ints("ResNet", "depth", depth, DEPTHS)]
        one_of("ResNet", "stem", stem, STEMS)
        one_of("ResNet", "placement", placement, PLACEMENTS)
        for option, value in (("num_classes", num_classes), ("in_channels", in_channels), ("width", width)):
            at_least("ResNet", option, value, 1)
        self.zero_init_residual = zero_init_residual
        small = stem == "cifar"
        self.conv1 = nn.Conv2d(in_channels, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)

        channels = width
        stages: list[nn.Module] = []
        widths: list[int] = []
        for i, count in enumerate(counts):
            planes = width * 2**i
            blocks: list[nn.Module] = []
            for j in range(count):
                made = (block or own)(channels, planes, 2 if i > 0 and j == 0 else 1, att, placement)
                blocks.append(made)
                channels = made.out_channels
            if att is not None and stands_after(placement, i, len(counts)):
                blocks.append(att(channels))
            stages.append(nn.Sequential(*blocks))
            widths.append(channels)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.stage_channels = tuple(widths)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.init_weights()

    @property
    def stages(self) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
        """The four stages in order (layer1 to layer4)."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def init_weights(self) -> None:
        """Kaiming convolutions and head, BatchNorm 1/0, biases 0, then each attention block's own starting values."""
        init_residual(self)
        nn.init.kaiming_normal_(self.fc.weight)
        if self.zero_init_residual:
            for module in self.modules():
                if isinstance(module, Residual):
                    nn.init.zeros_(module.get_parameter(f"{module.last_norm}.weight"))

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        """Returns the outputs of the four stages (C2, C3, C4, C5): strides 1, 2, 4, 8 (cifar) or 4, 8, 16, 32."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last stage's feature map (B, stage_channels[-1], H / 8, W / 8), / 32 with the imagenet stem."""
        return self.forward_stages(x)[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.fc(self.avgpool(self.forward_features(x)).flatten(1))


resnet18 = partial(ResNet, depth=18)
resnet34 = partial(ResNet, depth=34)
resnet50 = partial(ResNet, depth=50)
resnet101 = partial(ResNet, depth=101)

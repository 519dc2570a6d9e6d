"""ResNet-18/34/50/101 with an attention block at a chosen place.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, with the stride of a bottleneck
on its 3x3 convolution. Key names are torchvision's, so its weights can be loaded into the plain network.
"""

import typing
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from exp.layers.init import init_residual
from exp.layers.options import ResNet18Options, ResNet34Options, ResNet50Options, ResNet101Options, ResNetOptions
from exp.layers.pointwise import StridedPointwise
from exp.options.parts import Placement

AttentionFactory = Callable[[int], nn.Module]
"""Builds an attention block from the number of channels it is given."""

PLACEMENTS: tuple[str, ...] = typing.get_args(Placement)
"""Places of an attention block in a backbone."""


def follows_stage(placement: str, stage: int, stages: int) -> bool:
    """Returns whether an attention block comes after stage number ``stage``, counted from 0, of ``stages``."""
    return placement == "stage_end" or (placement == "between_stages" and stage < stages - 1)


def check_network(network: str, *, num_classes: int, in_channels: int, placement: str) -> None:
    """Checks what every network of images is given beside its options.

    Raises:
        ValueError: A number is below 1, or there is no such placement.
    """
    for name, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value < 1:
            raise ValueError(f"{network}: {name}={value} has to be at least 1")
    if placement not in PLACEMENTS:
        raise ValueError(f"{network}: placement={placement}: not one of {', '.join(PLACEMENTS)}")


def chosen_stem(network: str, stem: str) -> str:
    """Returns the stem of a network of images.

    Raises:
        ValueError: It is still ``auto``, which a cell's options decide by the size of its images.
    """
    if stem == "auto":
        raise ValueError(f"{network}: stem=auto cannot be built; give stem=cifar or stem=imagenet")
    return stem


class Residual(nn.Module):
    """What all kinds of block share: the shortcut, the final ReLU and the place of the attention block.

    Args:
        in_channels: Channels of the input.
        planes: Channels of the 3x3 convolution; the output has ``expansion`` times as many.
        stride: Of the 3x3 convolution and the shortcut.
        att: Builds the attention block, None for none.
        placement: Where the attention block goes.
        mid: Channels at branch_mid; ``planes`` where not given.

    Attributes:
        expansion: Output channels for each of the planes.
        last_norm: Name of the residual branch's last batch norm.
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
                StridedPointwise(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)
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
        """Returns ``x`` attended where ``place`` is the block's, unchanged elsewhere."""
        return self.att(x) if self.att is not None and self.placement == place else x

    def join(self, branch: Tensor, x: Tensor) -> Tensor:
        """Returns the ReLU of the residual branch (B, out_channels, H, W) plus the shortcut of the input ``x``."""
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


_STAGES: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}
"""Kind and number of the four stages' blocks by depth."""

BlockFactory = Callable[[int, int, int, AttentionFactory | None, str], Residual]
"""Builds a block from its input channels, planes, stride, attention and placement."""


class ResNet(nn.Module):
    """ResNet, images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        options: Those of a depth, such as ``ResNet18Options``; see ``ResNetOptions``.
        num_classes: Number of logits.
        in_channels: Channels of the input; 1 for grey images.
        image_size: Not needed; images may have any size.
        att: Builds an attention block for a channel count, or None for the plain network.
        placement: Where the attention blocks go. branch_end: after the residual branch's last batch norm, before the
            addition. branch_mid: after the batch norm and ReLU of a basic block's first convolution, of a bottleneck's
            3x3. block_start: before the branch's first convolution, on the branch only. block_end: after the addition
            and the final ReLU. stage_end: once after each stage. between_stages: after each stage but the last.
        block: Builds the residual blocks; None takes those of the depth.
        given: Options by name, in place of ``options``.

    Attributes:
        stage_channels: Output channels of the four stages.

    Raises:
        ValueError: The options have no depth, the stem is still auto, or an argument is out of bounds.
    """

    def __init__(
        self,
        options: ResNetOptions | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        block: BlockFactory | None = None,
        **given: Any,
    ) -> None:
        super().__init__()
        options = ResNetOptions.of(options, given)
        check_network("ResNet", num_classes=num_classes, in_channels=in_channels, placement=placement)
        depth = getattr(options, "depth", None)
        if depth not in _STAGES:
            raise ValueError(f"ResNet: depth={depth}: not one of {', '.join(map(str, _STAGES))}; take resnet18, say")
        own, counts = _STAGES[depth]
        small = chosen_stem("ResNet", options.stem) == "cifar"
        width = options.width
        self.zero_init_residual = options.zero_init_residual
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
            if att is not None and follows_stage(placement, i, len(counts)):
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


def _of_depth(
    schema: type[ResNetOptions],
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: tuple[int, int] | None = None,
    att: AttentionFactory | None = None,
    placement: str = "branch_end",
    **given: Any,
) -> ResNet:
    """Builds a ResNet of a known depth from its options by name: ``resnet18(num_classes=10, stem="cifar")``."""
    return ResNet(
        schema(**given),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        att=att,
        placement=placement,
    )


resnet18 = partial(_of_depth, ResNet18Options)
resnet34 = partial(_of_depth, ResNet34Options)
resnet50 = partial(_of_depth, ResNet50Options)
resnet101 = partial(_of_depth, ResNet101Options)

"""The three nets of notebook 002 (002_1f4d0ac63299d004.txt) for facial expressions, and a VGG beside them.

Each maps images (B, in_channels, H, W) to logits (B, num_classes). On the nets without residual blocks an attention
block comes after normalisation and activation, before the pooling; on the residual net, where its placement says.
"""

from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from exp.blocks.cbam import CBAM
from exp.layers.activations import make_activation
from exp.layers.options import ResNet18Options
from exp.layers.resnet import AttentionFactory, BasicBlock, ResNet
from exp.tasks.fer.options import CNNOptions, DeepCNNOptions, PlainNetOptions, ResNetCBAMOptions, VGGOptions

_VGG_COUNTS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_VGG_MULTIPLES = (1, 2, 4, 8, 8)


class ConvBlock(nn.Module):
    """Convolution 3x3, batch norm, activation, attention, pooling by 2: (B, C, H, W) -> (B, C', H // 2, W // 2).

    The convolution has a bias also before batch norm, as the source's has. The input of a residual block is added
    before the pooling, through a 1x1 convolution.

    Args:
        in_channels: C.
        out_channels: C'.
        options: See ``PlainNetOptions``, of which activation, batch_norm and residual are read.
        att: Builds an attention block for a channel count, or None.
    """

    def __init__(
        self, in_channels: int, out_channels: int, options: PlainNetOptions, att: AttentionFactory | None
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels) if options.batch_norm else nn.Identity()
        self.act = make_activation(options.activation)
        self.att = att(out_channels) if att is not None else None
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if options.residual else None
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the pooled features (B, C', H // 2, W // 2) of ``x``."""
        out = self.act(self.norm(self.conv(x)))
        if self.att is not None:
            out = self.att(out)
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return self.pool(out)


class PlainNet(nn.Module):
    """Blocks of one convolution each, then a head; its subclasses name their options.

    The head ``fc`` has a dropout after each hidden layer, each half the one before, and with batch norm a norm after
    all hidden layers but the last.

    Args:
        options: See the class named by ``schema``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: H and W; the first layer of the head ``fc`` has a weight for each place.
        att: Builds an attention block for a channel count, or None.
        placement: branch_end, the only place there is.
        given: Options by name, instead of ``options``.

    Raises:
        ValueError: Another placement, no image size, or images too small for the poolings.
    """

    schema: ClassVar[type[PlainNetOptions]]
    """Class of the options."""

    def __init__(
        self,
        options: PlainNetOptions | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        options = self.schema.of(options, given)
        super().__init__()
        _only_place(self, placement)
        if image_size is None:
            raise ValueError(f"{type(self).__name__} needs image_size, the height and width of its images")
        height, width = (side // 2 ** len(options.multiples) for side in image_size)
        if not height or not width:
            raise ValueError(f"image_size={image_size}: too small for {len(options.multiples)} poolings by 2")
        channels = (in_channels, *(multiple * options.width for multiple in options.multiples))
        self.features = nn.Sequential(*(ConvBlock(a, b, options, att) for a, b in pairwise(channels)))
        layers: list[nn.Module] = []
        if options.head == "gap":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(options.dropout)]
            units = channels[-1]
        else:
            layers.append(nn.Flatten())
            units = channels[-1] * height * width
            for place, size in enumerate(options.hidden):
                layers.append(nn.Linear(units, size))
                if options.batch_norm and place < len(options.hidden) - 1:
                    layers.append(nn.BatchNorm1d(size))
                layers += [make_activation(options.activation), nn.Dropout(options.dropout / 2**place)]
                units = size
        self.head = nn.Sequential(*layers, nn.Linear(units, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.head(self.features(x))


class CNN(PlainNet):
    """Net 1 of the source: two convolutions, 595,655 parameters for 48x48 grey and 7 classes."""

    schema = CNNOptions


class DeepCNN(PlainNet):
    """Net 2 of the source: four convolutions with batch norm, 1,636,551 parameters for 48x48 grey and 7 classes."""

    schema = DeepCNNOptions


class ResNetCBAM(ResNet):
    """Net 3 of the source: ResNet-18 with one CBAM after each stage, mean over the places, dropout, a linear layer.

    The source draws "2x ResidualBlock + CBAM Attention" a stage, read here as one CBAM after both blocks: 11,218,771
    parameters for grey and 7 classes (one in every block would make 11,263,711: ``att=cbam``). Without batch norm, the
    convolutions have a bias.

    Args:
        options: See ``ResNetCBAMOptions``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: Ignored; images may have any size.
        att: Builds an attention block for a channel count, instead of CBAM, or None.
        placement: See ``ResNet``.
        given: Options by name, instead of ``options``.

    Raises:
        ValueError: ``cbam`` is off though ``att`` replaces CBAM anyway.
    """

    def __init__(
        self,
        options: ResNetCBAMOptions | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        options = ResNetCBAMOptions.of(options, given)
        if att is not None and not options.cbam:
            raise ValueError("cbam=False: acts only without att, which replaces CBAM")
        if att is None and options.cbam:
            att, placement = CBAM, "stage_end"
        super().__init__(
            ResNet18Options(stem=options.stem, width=options.width),
            num_classes=num_classes,
            in_channels=in_channels,
            att=att,
            placement=placement,
        )
        self.dropout = nn.Dropout(options.dropout)
        trunk: list[nn.Module] = [self, *(block for block in self.modules() if isinstance(block, BasicBlock))]
        for part in trunk:
            if options.activation != "relu":
                part.relu = make_activation(options.activation)
            if not options.batch_norm:
                _without_norm(part)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.fc(self.dropout(self.avgpool(self.forward_features(x)).flatten(1)))


def _without_norm(part: nn.Module) -> None:
    """Takes the batch norms of a part's own convolutions away and gives those convolutions a bias."""
    for name, child in list(part.named_children()):
        if isinstance(child, nn.Conv2d):
            child.bias = nn.Parameter(child.weight.new_zeros(child.out_channels))
        elif isinstance(child, nn.BatchNorm2d):
            setattr(part, name, nn.Identity())
        elif name == "downsample":
            _without_norm(child)


class VGG(nn.Module):
    """VGG with a small head.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015; the head is
    that of its CIFAR forms (a mean over the places, dropout, one linear layer), as the FER2013 references have it.

    Args:
        options: See ``VGGOptions``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: Ignored; images may have any size from 32x32 on.
        att: Builds an attention block for a channel count, put before each pooling, or None.
        placement: branch_end, the only place there is.
        given: Options by name, instead of ``options``.

    Raises:
        ValueError: Another placement.
    """

    def __init__(
        self,
        options: VGGOptions | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        options = VGGOptions.of(options, given)
        super().__init__()
        _only_place(self, placement)
        layers: list[nn.Module] = []
        channels = in_channels
        for count, multiple in zip(_VGG_COUNTS[options.depth], _VGG_MULTIPLES, strict=True):
            for _ in range(count):
                wide = multiple * options.width
                layers.append(nn.Conv2d(channels, wide, 3, padding=1, bias=not options.batch_norm))
                layers += [nn.BatchNorm2d(wide)] if options.batch_norm else []
                layers.append(make_activation(options.activation))
                channels = wide
            layers += [att(channels)] if att is not None else []
            layers.append(nn.MaxPool2d(2))
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(options.dropout), nn.Linear(channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.head(self.features(x))


def _only_place(net: nn.Module, placement: str) -> None:
    if placement != "branch_end":
        raise ValueError(
            f"placement={placement}: {type(net).__name__} has no such place; leave it at branch_end, which is before"
            " each pooling"
        )

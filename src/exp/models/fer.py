"""The nets of notebook 002 (002_1f4d0ac63299d004.txt) for facial expressions, and a VGG beside them.

Where an attention block is asked for, it stands after normalisation and activation, before the pooling, on the plain
nets; on the residual one where its placement says.
"""

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from exp.models.resnet import AttentionFactory, BasicBlock, ResNet
from exp.nn.activations import make_activation
from exp.nn.cbam import CBAM
from exp.nn.checks import at_least, one_of, one_of_ints

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu", "elu", "celu", "tanh")
HEADS = ("fc", "gap")
PLAIN_PLACEMENT = "branch_end"

_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class ConvBlock(nn.Module):
    """Convolution 3x3, batch norm, activation, attention, pooling by 2: (B, C, H, W) -> (B, C', H // 2, W // 2).

    Args:
        in_channels: C.
        out_channels: C'.
        activation: See `ACTIVATIONS`.
        batch_norm: Whether there is batch norm; the convolution has a bias all the same, as the source's has.
        att: Builds an attention block for a channel count, or None.
        residual: Whether the input is added before the pooling, through a 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        activation: str,
        batch_norm: bool,
        att: AttentionFactory | None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        self.act = make_activation(activation, where="ConvBlock", allowed=ACTIVATIONS)
        self.att = att(out_channels) if att is not None else None
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if residual else None
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.norm(self.conv(x)))
        if self.att is not None:
            out = self.att(out)
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return self.pool(out)


class PlainNet(nn.Module):
    """Blocks of one convolution each, then a head: images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        widths: Channels of the blocks.
        hidden: Units of the head's hidden layers.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: H and W; the head's first layer has a weight for each place.
        activation: See `ACTIVATIONS`.
        dropout: After the first hidden layer; half of it after the second, all of it before the head `gap`.
        batch_norm: Whether there is batch norm, after each convolution and the first of two hidden layers.
        head: fc (hidden layers) or gap (mean over the places, one linear layer).
        residual: Whether each block's input is added to its output, through a 1x1 convolution.
        att: Builds an attention block for a channel count, or None.
        placement: branch_end, the only place there is.

    Raises:
        ValueError: For a value outside those named, or images too small for the poolings.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, ...],
        hidden: tuple[int, ...],
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, ...],
        activation: str,
        dropout: float,
        batch_norm: bool,
        head: str,
        residual: bool = False,
        att: AttentionFactory | None = None,
        placement: str = PLAIN_PLACEMENT,
    ) -> None:
        super().__init__()
        one_of("PlainNet", "head", head, HEADS)
        one_of("PlainNet", "placement", placement, (PLAIN_PLACEMENT,))
        height, width = (side // 2 ** len(widths) for side in image_size)
        if not height or not width:
            raise ValueError(f"PlainNet: image_size={image_size} is too small for {len(widths)} poolings by 2")
        channels = (in_channels, *(at_least("PlainNet", "width", value, 1) for value in widths))
        block = partial(ConvBlock, activation=activation, batch_norm=batch_norm, att=att, residual=residual)
        self.features = nn.Sequential(*(block(a, b) for a, b in pairwise(channels)))
        layers: list[nn.Module] = []
        if head == "gap":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
            units = channels[-1]
        else:
            layers.append(nn.Flatten())
            units = channels[-1] * height * width
            for place, size in enumerate(hidden):
                layers.append(nn.Linear(units, size))
                if batch_norm and place < len(hidden) - 1:
                    layers.append(nn.BatchNorm1d(size))
                act = make_activation(activation, where="PlainNet", allowed=ACTIVATIONS)
                layers += [act, nn.Dropout(dropout / 2**place)]
                units = size
        self.head = nn.Sequential(*layers, nn.Linear(units, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def cnn(
    *,
    width: int = 16,
    activation: str = "relu",
    dropout: float = 0.5,
    batch_norm: bool = False,
    head: str = "fc",
    residual: bool = False,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, ...],
    att: AttentionFactory | None = None,
    placement: str = PLAIN_PLACEMENT,
) -> PlainNet:
    """Net 1 of the source: two convolutions, 595,655 parameters for 48x48 grey and 7 classes."""
    return PlainNet(
        widths=(width, 2 * width),
        hidden=(128,),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        activation=activation,
        dropout=dropout,
        batch_norm=batch_norm,
        head=head,
        residual=residual,
        att=att,
        placement=placement,
    )


def deepcnn(
    *,
    width: int = 32,
    activation: str = "relu",
    dropout: float = 0.5,
    batch_norm: bool = True,
    head: str = "fc",
    residual: bool = False,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, ...],
    att: AttentionFactory | None = None,
    placement: str = PLAIN_PLACEMENT,
) -> PlainNet:
    """Net 2 of the source: four convolutions with batch norm, 1,636,551 parameters for 48x48 grey and 7 classes."""
    return PlainNet(
        widths=(width, 2 * width, 4 * width, 8 * width),
        hidden=(512, 128),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        activation=activation,
        dropout=dropout,
        batch_norm=batch_norm,
        head=head,
        residual=residual,
        att=att,
        placement=placement,
    )


class ResNetCBAM(ResNet):
    """Net 3 of the source: ResNet-18 with one CBAM after each stage, mean over the places, dropout, a linear layer.

    The source draws "2x ResidualBlock + CBAM Attention" a stage, read here as one CBAM after both blocks: 11,218,771
    parameters for grey and 7 classes (one in every block would make 11,263,711: att=cbam).

    Args:
        cbam: Whether the stages end with CBAM (reduction 16) where `att` is not given; `att` replaces it.
        stem: imagenet (the source's, which leaves 2x2 places of 48x48) or cifar.
        activation: Of the trunk, see `ACTIVATIONS`.
        dropout: Before the linear layer.
        batch_norm: Without it, the convolutions have a bias.
        width: Channels of the first stage.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        att: Builds an attention block for a channel count, or None.
        placement: See `ResNet`.

    Raises:
        ValueError: For a value outside those named, or `cbam` off where `att` replaces it anyway.
    """

    def __init__(
        self,
        *,
        cbam: bool = True,
        stem: str = "imagenet",
        activation: str = "relu",
        dropout: float = 0.3,
        batch_norm: bool = True,
        width: int = 64,
        num_classes: int,
        in_channels: int = 1,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        if att is not None and not cbam:
            raise ValueError("ResNetCBAM: cbam=False acts only without att, which replaces CBAM")
        if att is None and cbam:
            att, placement = CBAM, "stage_end"
        super().__init__(
            depth=18,
            num_classes=num_classes,
            in_channels=in_channels,
            stem=stem,
            width=width,
            att=att,
            placement=placement,
        )
        self.dropout = nn.Dropout(dropout)
        trunk: list[nn.Module] = [self, *(block for block in self.modules() if isinstance(block, BasicBlock))]
        for part in trunk:
            if activation != "relu":
                part.relu = make_activation(activation, where="ResNetCBAM", allowed=ACTIVATIONS)
            if not batch_norm:
                _without_norm(part)

    def forward(self, x: Tensor) -> Tensor:
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
    """VGG with batch norm and a small head, images (B, in_channels, H, W) -> logits (B, num_classes).

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015; the head is
    that of its CIFAR forms (a mean over the places, dropout, one linear layer), as the FER2013 references have it.

    Args:
        depth: 11, 13, 16 or 19.
        width: Channels of the first stage; then 2, 4, 8 and 8 times as many.
        activation: See `ACTIVATIONS`.
        dropout: Before the linear layer.
        batch_norm: Whether each convolution is followed by batch norm.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        att: Builds an attention block for a channel count, put before each pooling, or None.
        placement: branch_end, the only place there is.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        depth: int = 19,
        width: int = 64,
        activation: str = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        num_classes: int,
        in_channels: int,
        att: AttentionFactory | None = None,
        placement: str = PLAIN_PLACEMENT,
    ) -> None:
        super().__init__()
        one_of("VGG", "placement", placement, (PLAIN_PLACEMENT,))
        at_least("VGG", "width", width, 1)
        layers: list[nn.Module] = []
        channels = in_channels
        for count, factor in zip(_VGG[one_of_ints("VGG", "depth", depth, tuple(_VGG))], (1, 2, 4, 8, 8), strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(channels, factor * width, 3, padding=1, bias=not batch_norm))
                channels = factor * width
                layers += [nn.BatchNorm2d(channels)] if batch_norm else []
                layers.append(make_activation(activation, where="VGG", allowed=ACTIVATIONS))
            layers += [att(channels)] if att is not None else []
            layers.append(nn.MaxPool2d(2))
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

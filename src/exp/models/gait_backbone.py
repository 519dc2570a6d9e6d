"""Frame networks: that of GaitBase, a residual network of four single blocks, and one without convolutions.

Source: Fan et al., "OpenGait: Revisiting Gait Recognition Toward Better Practicality", CVPR 2023 (ResNet9); the 7x7
stem is torchvision's, used by ReelResnet of 000_5904b90314bc883c.txt.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from exp.models.resnet import PLACEMENTS, AttentionFactory, BasicBlock, stands_after
from exp.nn.checks import at_least, one_of

BACKBONES = ("resnet9", "rows")
STEMS = ("3x3", "7x7")


class FrameResNet(nn.Module):
    """Frames (F, 1, H, W) -> maps (F, 8 width, h, w).

    Args:
        width: Channels of the stem; the stages have 1, 2, 4 and 8 times as many.
        strides: Of the four stages; 1, 2, 2, 1 in the published net.
        stem: 3x3 of stride 1, or 7x7 of stride 2 followed by 3x3 max-pooling of stride 2.
        att: Builds an attention block for a channel count, or None.
        placement: Where it stands, see ``exp.models.resnet.ResNet``.

    Attributes:
        out_channels: Channels of the maps.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        strides: Sequence[int] = (1, 2, 2, 1),
        stem: str = "3x3",
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        at_least("FrameResNet", "width", width, 1)
        one_of("FrameResNet", "stem", stem, STEMS)
        one_of("FrameResNet", "placement", placement, PLACEMENTS)
        if len(strides) != 4 or min(strides) < 1:
            raise ValueError(f"FrameResNet: strides={list(strides)} must be four numbers of at least 1")
        large = stem == "7x7"
        layers: list[nn.Module] = [
            nn.Conv2d(1, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if large:
            layers.append(nn.MaxPool2d(3, 2, 1))
        self.stem = nn.Sequential(*layers)
        self._halvings = [2, 2] if large else []
        self._halvings += list(strides)
        stages: list[nn.Module] = []
        channels = width
        for i, stride in enumerate(strides):
            planes = width * 2**i
            stage: list[nn.Module] = [BasicBlock(channels, planes, stride, att, placement)]
            if att is not None and stands_after(placement, i, len(strides)):
                stage.append(att(planes))
            stages.append(nn.Sequential(*stage))
            channels = planes
        self.stages = nn.Sequential(*stages)
        self.out_channels = channels

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the maps of frames of a size."""
        for stride in self._halvings:
            height, width = -(-height // stride), -(-width // stride)
        return height, width

    def forward(self, frames: Tensor) -> Tensor:
        return self.stages(self.stem(frames))


class FrameRows(nn.Module):
    """Frames (F, 1, H, W) -> maps (F, 8 width, 8, 1): eight rows, each a learned map of its eight mean columns.

    It sees no shapes finer than an eighth of the frame and costs next to nothing, so that what is left is what the
    layers over time do.

    Args:
        width: Eighth of the maps' channels.

    Attributes:
        out_channels: Channels of the maps.
    """

    def __init__(self, *, width: int = 8) -> None:
        super().__init__()
        at_least("FrameRows", "width", width, 1)
        self.out_channels = 8 * width
        self.embed = nn.Sequential(
            nn.Conv2d(8, self.out_channels, 1, bias=False), nn.BatchNorm2d(self.out_channels), nn.ReLU(inplace=True)
        )

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the maps of frames of a size: always the same."""
        return 8, 1

    def forward(self, frames: Tensor) -> Tensor:
        grid = nn.functional.adaptive_avg_pool2d(frames, 8)
        return self.embed(grid[:, 0].transpose(1, 2)[..., None])


def frame_network(
    backbone: str,
    *,
    width: int,
    strides: Sequence[int],
    stem: str,
    att: AttentionFactory | None,
    placement: str,
) -> FrameResNet | FrameRows:
    """The frame network by name: resnet9 or rows, of which the latter takes the width alone.

    Raises:
        ValueError: For an unknown name, or attention where there are no residual blocks.
    """
    if one_of("frame_network", "backbone", backbone, BACKBONES) == "resnet9":
        return FrameResNet(width=width, strides=strides, stem=stem, att=att, placement=placement)
    if att is not None:
        raise ValueError("frame_network: backbone=rows has no residual branch for attention; take backbone=resnet9")
    return FrameRows(width=width)


def init_gait(model: nn.Module) -> None:
    """Starting values as published: Xavier for convolutions and linear maps, batch norm around 1, biases 0.

    Modules that define init_weights() (other than `model`) have the last word.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if module is not model:
            restore = getattr(module, "init_weights", None)
            if callable(restore):
                restore()

"""Frame networks: that of GaitBase, a residual network of four single blocks, and one without convolutions.

Source: Fan et al., "OpenGait: Revisiting Gait Recognition Toward Better Practicality", CVPR 2023 (ResNet9); the 7x7
stem is torchvision's, used by ReelResnet of 000_5904b90314bc883c.txt.
"""

from typing import Any

from einops import rearrange
from torch import Tensor, nn

from exp.layers.resnet import PLACEMENTS, AttentionFactory, BasicBlock, follows_stage
from exp.tasks.gait.options import BackboneOptions, PooledOptions


class FrameResNet(nn.Module):
    """Frames (F, 1, H, W) -> maps (F, 8 width, h, w).

    Args:
        options: See ``BackboneOptions``.
        att: Builds an attention block from its channels, or None.
        placement: Where the attention blocks go, see ``exp.layers.resnet.ResNet``.
        given: Options by name, in place of ``options``.

    Attributes:
        out_channels: Channels of the maps.

    Raises:
        ValueError: There is no such placement.
    """

    def __init__(
        self,
        options: BackboneOptions | None = None,
        *,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = BackboneOptions.of(options, given)
        if placement not in PLACEMENTS:
            raise ValueError(f"FrameResNet: placement={placement}: not one of {', '.join(PLACEMENTS)}")
        width, strides, large = options.width, options.strides, options.stem == "7x7"
        layers: list[nn.Module] = [
            nn.Conv2d(1, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if large:
            layers.append(nn.MaxPool2d(3, 2, 1))
        self.stem = nn.Sequential(*layers)
        self._strides = [*([2, 2] if large else []), *strides]
        stages: list[nn.Module] = []
        channels = width
        for i, stride in enumerate(strides):
            planes = width * 2**i
            stage: list[nn.Module] = [BasicBlock(channels, planes, stride, att, placement)]
            if att is not None and follows_stage(placement, i, len(strides)):
                stage.append(att(planes))
            stages.append(nn.Sequential(*stage))
            channels = planes
        self.stages = nn.Sequential(*stages)
        self.out_channels = channels

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of the maps of frames of a size."""
        for stride in self._strides:
            height, width = -(-height // stride), -(-width // stride)
        return height, width

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frames (F, 1, H, W) to maps (F, out_channels, h, w)."""
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

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = 8 * width
        self.embed = nn.Sequential(
            nn.Conv2d(8, self.out_channels, 1, bias=False), nn.BatchNorm2d(self.out_channels), nn.ReLU(inplace=True)
        )

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of the maps, which are the same for frames of every size."""
        return 8, 1

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frames (F, 1, H, W) to maps (F, out_channels, 8, 1)."""
        grid = nn.functional.adaptive_avg_pool2d(frames, 8)
        return self.embed(rearrange(grid, "f 1 h w -> f w h 1"))


def frame_network(options: PooledOptions, att: AttentionFactory | None, placement: str) -> FrameResNet | FrameRows:
    """Returns the frame network that ``options.backbone`` names.

    Raises:
        ValueError: There is attention, but no residual block for it.
    """
    if options.backbone == "resnet9":
        return FrameResNet(options, att=att, placement=placement)
    if att is not None:
        raise ValueError("frame_network: backbone=rows has no residual branch for attention; take backbone=resnet9")
    return FrameRows(options.width)


def init_gait(model: nn.Module) -> None:
    """Sets starting values as published: Xavier for convolutions and linear maps, batch norm around 1, biases 0.

    Modules that define ``init_weights()`` (other than ``model``) then set their own.
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

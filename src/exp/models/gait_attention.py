"""BaseAttention: a transformer encoder over time beside the maximum over time (000_5904b90314bc883c.txt).

The source calls it a failure. Its settings give the head 256 channels where the fusion makes 512, so that it cannot
run; learned positions tie it to 30 frames, and its 4x4 patches to maps whose sides are multiples of 4.
``positions=learned`` keeps the last two, with a head that fits; the default takes any length and size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exp.models.gait import GaitOutput, flat
from exp.models.gait_backbone import FrameResNet, init_gait
from exp.models.resnet import AttentionFactory
from exp.nn.frame_encoder import FrameEncoder
from exp.nn.horizontal import HorizontalPooling
from exp.nn.part_head import PartHead
from exp.nn.temporal import pool_frames


class BaseAttention(nn.Module):
    """Walks -> embedding and logits.

    Args:
        image_size: (H, W) of a frame.
        num_classes: Persons of the training set.
        width: Channels of the stem; the maps have 8 times as many.
        strides: Of the four stages.
        stem: 3x3 or 7x7.
        bins: Horizontal strips.
        part_pool: Statistic of a strip: mean+max, avg or max.
        embedding: Channels of the embedding of a part.
        separate_fc: Whether each part has a matrix of its own; without, the fusion makes ``embedding`` channels.
        positions: learned (30 frames and no other number), sinusoidal or none.
        patch: Side of a patch of the maps.
        dim: Channels of a token.
        depth: Layers of the encoder.
        heads: Attention heads.
        mlp: Hidden channels of a layer's MLP.
        dropout: Of the encoder.
        frames: Frames of a walk where positions are learned.
        att: Builds an attention block for a channel count, or None.
        placement: Where it stands in the frame network.

    Attributes:
        needs_order: Whether the frames' order means something to the net.
        parts: Vectors of an embedding.

    Raises:
        ValueError: For a value outside those named, or more strips than rows.
    """

    def __init__(
        self,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        width: int = 64,
        strides: Sequence[int] = (1, 2, 2, 1),
        stem: str = "3x3",
        bins: int = 16,
        part_pool: str = "mean+max",
        embedding: int = 256,
        separate_fc: bool = True,
        positions: str = "sinusoidal",
        patch: int = 4,
        dim: int = 128,
        depth: int = 12,
        heads: int = 4,
        mlp: int = 512,
        dropout: float = 0.1,
        frames: int = 30,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        self.backbone = FrameResNet(width=width, strides=strides, stem=stem, att=att, placement=placement)
        self.parting = HorizontalPooling(bins, part_pool)
        rows, columns = self.backbone.map_size(*image_size)
        if rows < bins:
            raise ValueError(f"BaseAttention: bins={bins} but the maps have {rows} rows; lower bins or strides")
        if positions == "learned" and (rows % patch or columns % patch):
            raise ValueError(
                f"BaseAttention: positions=learned keeps the source's limits, and maps of {rows}x{columns} are no"
                f" multiple of patch={patch}; take positions=sinusoidal or another image size"
            )
        channels = self.backbone.out_channels
        self.parts = bins
        self.needs_order = positions != "none"
        self.encoder = FrameEncoder(
            channels,
            patch=patch,
            dim=dim,
            depth=depth,
            heads=heads,
            mlp=mlp,
            dropout=dropout,
            positions=positions,
            frames=frames,
        )
        fused = channels if separate_fc else embedding
        self.fuse = nn.Conv2d(2 * channels, fused, 1, bias=False)
        self.head = PartHead(fused, embedding, bins, num_classes, separate_fc=separate_fc)
        init_gait(self)

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        x, lengths = flat(frames, lengths)
        maps = self.backbone(x)
        both = torch.cat([self.encoder(maps, lengths), pool_frames(maps, lengths, "max")], dim=1)
        return GaitOutput(*self.head(self.parting(self.fuse(both))))

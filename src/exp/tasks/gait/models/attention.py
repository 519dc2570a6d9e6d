"""BaseAttention: a transformer encoder over time beside the maximum over time (000_5904b90314bc883c.txt).

The source calls it a failure. Its settings give the head 256 channels where the fusion makes 512, so that it cannot
run; learned positions tie it to 30 frames, and its 4x4 patches to maps whose sides are multiples of 4.
``positions=learned`` keeps the last two, with a head that fits; the default takes any length and size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from exp.layers.resnet import AttentionFactory
from exp.tasks.gait.models.backbone import FrameResNet, init_gait
from exp.tasks.gait.models.frame_encoder import FrameEncoder
from exp.tasks.gait.models.horizontal import HorizontalPooling
from exp.tasks.gait.models.net import GaitOutput, flat
from exp.tasks.gait.models.part_head import PartHead
from exp.tasks.gait.models.temporal import pool_frames
from exp.tasks.gait.options import BaseAttentionOptions


class BaseAttention(nn.Module):
    """Walks -> embedding (n, embedding, bins) and logits (n, num_classes, bins).

    Args:
        options: See ``BaseAttentionOptions``.
        image_size: (H, W) of a frame.
        num_classes: Persons of the training set.
        att: Builds an attention block from its channels, or None.
        placement: Where the attention blocks go in the frame network.
        given: Options by name, in place of ``options``.

    Attributes:
        needs_order: Whether the frames' order means something to the net.
        parts: Vectors of an embedding.

    Raises:
        ValueError: There are more strips than rows of the maps, or learned positions on maps whose sides are no
            multiples of the patches.
    """

    def __init__(
        self,
        options: BaseAttentionOptions | None = None,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = BaseAttentionOptions.of(options, given)
        bins, patch, embedding = options.bins, options.patch, options.embedding
        self.backbone = FrameResNet(options, att=att, placement=placement)
        self.parting = HorizontalPooling(bins, options.part_pool)
        rows, columns = self.backbone.map_size(*image_size)
        if rows < bins:
            raise ValueError(f"BaseAttention: bins={bins} but the maps have {rows} rows; lower bins or strides")
        if options.positions == "learned" and (rows % patch or columns % patch):
            raise ValueError(
                f"BaseAttention: positions=learned keeps the source's limits, and maps of {rows}x{columns} are no"
                f" multiple of patch={patch}; take positions=sinusoidal or another image size"
            )
        channels = self.backbone.out_channels
        self.parts = bins
        self.needs_order = options.positions != "none"
        self.encoder = FrameEncoder(options, channels)
        fused = channels if options.separate_fc else embedding
        self.fuse = nn.Conv2d(2 * channels, fused, 1, bias=False)
        self.head = PartHead(fused, embedding, bins, num_classes, separate_fc=options.separate_fc)
        init_gait(self)

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        """Embeds clips (n, s, H, W), or walks one behind the other (F, H, W) with their lengths."""
        x, lengths = flat(frames, lengths)
        maps = self.backbone(x)
        both = torch.cat([self.encoder(maps, lengths), pool_frames(maps, lengths, "max")], dim=1)
        return GaitOutput(*self.head(self.parting(self.fuse(both))))

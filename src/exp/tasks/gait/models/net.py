"""Gait nets that see a walk as frame maps pooled over time, alone or beside an LSTM.

The baseline is GaitBase (Fan et al., CVPR 2023). ConvLstm, PartLstm and AttentionLstm are those of
000_5904b90314bc883c.txt: an LSTM over time beside the maximum, and both joined.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from einops import rearrange
from torch import Tensor, nn

from exp.layers.resnet import AttentionFactory
from exp.tasks.gait.models.backbone import frame_network, init_gait
from exp.tasks.gait.models.horizontal import HorizontalPooling
from exp.tasks.gait.models.part_head import PartHead
from exp.tasks.gait.models.temporal import FrameLSTM, pool_frames
from exp.tasks.gait.models.two_branches import TwoBranches
from exp.tasks.gait.options import BaselineOptions, LstmOptions, PooledOptions


class GaitOutput(NamedTuple):
    """Output of a gait net for n walks.

    Attributes:
        embedding: (n, c, p) what walks are compared by.
        logits: (n, classes, p) for the classification loss.
    """

    embedding: Tensor
    logits: Tensor


def flat(frames: Tensor, lengths: Sequence[int] | None) -> tuple[Tensor, Sequence[int]]:
    """Returns the frames of all walks one behind the other, (F, 1, H, W), and the lengths of the walks.

    Args:
        frames: (n, s, H, W), or (F, H, W) with lengths.
        lengths: Frames of each walk where the walks are already one behind the other.

    Raises:
        ValueError: The lengths do not add up, or a walk has no frame.
    """
    if lengths is None:
        n, s = frames.shape[:2]
        return rearrange(frames, "n s h w -> (n s) 1 h w"), [s] * n
    if sum(lengths) != len(frames) or min(lengths) < 1:
        raise ValueError(f"{len(frames)} frames but walks of {list(lengths)} frames")
    return frames[:, None], lengths


class GaitNet(nn.Module):
    """Walks -> embedding (n, embedding, bins) and logits (n, num_classes, bins).

    Args:
        options: Those of a net, such as ``PartLstmOptions``; the baseline's where not given.
        image_size: (H, W) of a frame.
        num_classes: Persons of the training set.
        att: Builds an attention block from its channels, or None.
        placement: Where the attention blocks go in the frame network.
        given: Options of the baseline by name, in place of ``options``.

    Attributes:
        needs_order: Whether the frames' order means something to the net.
        parts: Vectors of an embedding.

    Raises:
        ValueError: There are more strips than rows of the maps, or attention without a residual block for it.
    """

    def __init__(
        self,
        options: PooledOptions | None = None,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = BaselineOptions(**given) if options is None else PooledOptions.of(options, given)
        self.backbone = frame_network(options, att, placement)
        self.parting = HorizontalPooling(options.bins, options.part_pool)
        rows, columns = self.backbone.map_size(*image_size)
        if rows < options.bins:
            raise ValueError(f"GaitNet: bins={options.bins} but the maps have {rows} rows; lower bins or strides")
        channels = self.backbone.out_channels
        self.parts = options.bins
        self.pool = options.temporal_pool.split("+")[0]
        self.needs_order = "lstm" in options.temporal_pool
        self.parts_first = False
        self.lstm: FrameLSTM | None = None
        if self.needs_order and isinstance(options, LstmOptions):
            self.parts_first = options.layout == "(n p) s c"
            shape = (channels, options.bins, 1) if self.parts_first else (channels, rows, columns)
            self.lstm = FrameLSTM(options, shape)
        fused = channels if options.separate_fc else options.embedding
        self.fuse = self._joining(options, channels, fused)
        self.fuse_norm = nn.BatchNorm2d(fused) if options.fusion_norm and self.fuse is not None else None
        self.head = PartHead(fused, options.embedding, options.bins, num_classes, separate_fc=options.separate_fc)
        init_gait(self)

    def _joining(self, options: PooledOptions, channels: int, fused: int) -> nn.Module | None:
        """Returns what maps the results over time to ``fused`` channels, None where they have them."""
        if self.lstm is not None and self.pool != "lstm":
            assert isinstance(options, LstmOptions)
            return TwoBranches(self.lstm.out_channels, channels, fused, options.fusion)
        own = channels if self.lstm is None else self.lstm.out_channels
        return nn.Conv2d(own, fused, 1, bias=False) if own != fused else None

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        """Embeds clips (n, s, H, W), or walks one behind the other (F, H, W) with their lengths."""
        x, lengths = flat(frames, lengths)
        maps = self.backbone(x)
        if self.parts_first:
            maps = self.parting(maps)[..., None]
        fused = self._over_time(maps, lengths)
        return GaitOutput(*self.head(fused[..., 0] if self.parts_first else self.parting(fused)))

    def _over_time(self, maps: Tensor, lengths: Sequence[int]) -> Tensor:
        """Maps (F, c, h, w) to (n, fused, h, w)."""
        if self.lstm is None:
            fused = pool_frames(maps, lengths, self.pool)
            fused = fused if self.fuse is None else self.fuse(fused)
        elif self.pool == "lstm":
            fused = self.lstm(maps, lengths)
            fused = fused if self.fuse is None else self.fuse(fused)
        else:
            assert self.fuse is not None
            fused = self.fuse(self.lstm(maps, lengths), pool_frames(maps, lengths, self.pool))
        return fused if self.fuse_norm is None else self.fuse_norm(fused)

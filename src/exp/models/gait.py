"""Gait nets that see a walk as frame maps pooled over time, alone or beside an LSTM.

``baseline`` is GaitBase (Fan et al., CVPR 2023). ``convlstm``, ``partlstm`` and ``attentionlstm`` are those of
000_5904b90314bc883c.txt: an LSTM over time stands beside the maximum, and both are joined.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from exp.models.gait_backbone import frame_network, init_gait
from exp.models.resnet import AttentionFactory
from exp.nn.checks import one_of
from exp.nn.horizontal import HorizontalPooling
from exp.nn.part_head import PartHead
from exp.nn.temporal import FrameLSTM, pool_frames
from exp.nn.two_branches import TwoBranches

TEMPORAL_POOLS = ("max", "mean", "max+lstm", "mean+lstm", "lstm")


class GaitOutput(NamedTuple):
    """What a gait net says of n walks.

    Attributes:
        embedding: (n, c, p) what walks are compared by.
        logits: (n, classes, p) for the classification loss.
    """

    embedding: Tensor
    logits: Tensor


def flat(frames: Tensor, lengths: Sequence[int] | None) -> tuple[Tensor, Sequence[int]]:
    """Frames as (F, 1, H, W) with the lengths of the walks.

    Args:
        frames: (n, s, H, W), or (F, H, W) with lengths.
        lengths: Frames of each walk where they stand one behind the other.

    Raises:
        ValueError: The lengths do not add up, or a walk has no frame.
    """
    if lengths is None:
        n, s, height, width = frames.shape
        return frames.reshape(n * s, 1, height, width), [s] * n
    if sum(lengths) != len(frames) or min(lengths) < 1:
        raise ValueError(f"{len(frames)} frames but walks of {list(lengths)} frames")
    return frames[:, None], lengths


class GaitNet(nn.Module):
    """Walks -> embedding and logits.

    Args:
        image_size: (H, W) of a frame.
        num_classes: Persons of the training set.
        backbone: Frame network: resnet9, or rows (without convolutions; strides and stem do not count).
        width: Channels of the stem; the maps have 8 times as many.
        strides: Of the four stages.
        stem: 3x3 or 7x7.
        bins: Horizontal strips.
        part_pool: Statistic of a strip: mean+max, avg or max.
        embedding: Channels of the embedding of a part.
        separate_fc: Whether each part has a matrix of its own before the embedding.
        temporal_pool: What stands for the frames: max, mean, max+lstm, mean+lstm or lstm.
        layout: What the LSTM sees as sequences; (n p) s c pools the frames into parts first.
        hidden: State of the LSTM.
        readout: last, mean or max over the LSTM's steps.
        bidirectional: Whether a second LSTM runs backwards.
        fusion: How the two branches are joined: concat, add, gate or attention.
        fusion_norm: Whether batch norm follows the fusion.
        lstm_gib: Memory bound of the LSTM, see ``FrameLSTM``.
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
        backbone: str = "resnet9",
        width: int = 64,
        strides: Sequence[int] = (1, 2, 2, 1),
        stem: str = "3x3",
        bins: int = 16,
        part_pool: str = "mean+max",
        embedding: int = 256,
        separate_fc: bool = True,
        temporal_pool: str = "max",
        layout: str = "(n h w) s c",
        hidden: int = 256,
        readout: str = "last",
        bidirectional: bool = False,
        fusion: str = "concat",
        fusion_norm: bool = False,
        lstm_gib: float = 0.0,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        one_of("GaitNet", "temporal_pool", temporal_pool, TEMPORAL_POOLS)
        self.backbone = frame_network(backbone, width=width, strides=strides, stem=stem, att=att, placement=placement)
        self.parting = HorizontalPooling(bins, part_pool)
        rows, columns = self.backbone.map_size(*image_size)
        if rows < bins:
            raise ValueError(f"GaitNet: bins={bins} but the maps have {rows} rows; lower bins or strides")
        channels = self.backbone.out_channels
        self.parts = bins
        self.pool = temporal_pool.split("+")[0]
        self.needs_order = "lstm" in temporal_pool
        self.parts_first = self.needs_order and layout == "(n p) s c"
        shape = (channels, bins, 1) if self.parts_first else (channels, rows, columns)
        self.lstm: FrameLSTM | None = None
        if self.needs_order:
            self.lstm = FrameLSTM(
                layout, shape, hidden=hidden, readout=readout, bidirectional=bidirectional, memory_gib=lstm_gib
            )
        fused = channels if separate_fc else embedding
        self.fuse: nn.Module | None = None
        if self.lstm is not None and self.pool != "lstm":
            self.fuse = TwoBranches(self.lstm.out_channels, channels, fused, fusion)
        else:
            width_in = channels if self.lstm is None else self.lstm.out_channels
            self.fuse = nn.Conv2d(width_in, fused, 1, bias=False) if width_in != fused else None
        self.fuse_norm = nn.BatchNorm2d(fused) if fusion_norm and self.fuse is not None else None
        self.head = PartHead(fused, embedding, bins, num_classes, separate_fc=separate_fc)
        init_gait(self)

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        x, lengths = flat(frames, lengths)
        maps = self.backbone(x)
        if self.parts_first:
            maps = self.parting(maps)[..., None]
        fused = self._over_time(maps, lengths)
        return GaitOutput(*self.head(fused[..., 0] if self.parts_first else self.parting(fused)))

    def _over_time(self, maps: Tensor, lengths: Sequence[int]) -> Tensor:
        """(F, c, h, w) -> (n, fused, h, w)."""
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


baseline = GaitNet
convlstm = partial(GaitNet, separate_fc=False, temporal_pool="max+lstm")
partlstm = partial(GaitNet, separate_fc=False, temporal_pool="max+lstm", layout="(n p) s c", fusion_norm=True)
attentionlstm = partial(GaitNet, temporal_pool="max+lstm", fusion="gate")

"""ReelResnet: an ordinary ResNet on every frame, and no pooling over time (000_5904b90314bc883c.txt).

``parts=time`` is the source's: each frame's vector is one part of the embedding, so that frame i is compared with frame
i, whatever moment of the walk these are, and walks of different lengths cannot be compared at all. Its classifier has
75 outputs for 74 persons. (Its file holds 9,408 more parameters, a stem that nothing uses.) ``parts=pooled`` is the
mended form: one vector a walk, the maximum or mean over its frames.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from exp.models.gait import GaitOutput, flat
from exp.models.gait_backbone import FrameResNet, init_gait
from exp.models.resnet import AttentionFactory
from exp.nn.checks import one_of
from exp.nn.temporal import pool_frames, to_clips

PARTS = ("time", "pooled")


class ReelResnet(nn.Module):
    """Walks -> embedding (n, 8 width, p) and logits (n, outputs, p), p the frames or 1.

    Args:
        image_size: (H, W) of a frame; any.
        num_classes: Persons of the training set.
        width: Channels of the stem.
        strides: Of the four stages.
        stem: 7x7 or 3x3.
        parts: time or pooled.
        temporal_pool: max or mean, where parts are pooled.
        outputs: Outputs of the classifier; the persons where not given.
        att: Builds an attention block for a channel count, or None.
        placement: Where it stands in the frame network.

    Attributes:
        needs_order: Whether the frames' order means something to the net.
        parts: Vectors of an embedding; 0 where they are as many as frames.

    Raises:
        ValueError: For a value outside those named, too few outputs, or (in forward) walks of several lengths where
            parts are frames.
    """

    def __init__(
        self,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        width: int = 64,
        strides: Sequence[int] = (1, 2, 2, 2),
        stem: str = "7x7",
        parts: str = "pooled",
        temporal_pool: str = "max",
        outputs: int | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        one_of("ReelResnet", "parts", parts, PARTS)
        one_of("ReelResnet", "temporal_pool", temporal_pool, ("max", "mean"))
        if outputs is not None and outputs < num_classes:
            raise ValueError(f"ReelResnet: outputs={outputs} are too few for {num_classes} persons")
        self.needs_order = parts == "time"
        self.parts = 0 if self.needs_order else 1
        self.temporal_pool = temporal_pool
        self.backbone = FrameResNet(width=width, strides=strides, stem=stem, att=att, placement=placement)
        self.fc = nn.Linear(self.backbone.out_channels, outputs or num_classes)
        init_gait(self)

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        x, lengths = flat(frames, lengths)
        vectors = self.backbone(x).mean((2, 3))
        if not self.needs_order:
            pooled = pool_frames(vectors, lengths, self.temporal_pool)
            return GaitOutput(pooled[:, :, None], self.fc(pooled)[:, :, None])
        if len(set(lengths)) > 1:
            raise ValueError(
                "ReelResnet: parts=time compares frame by frame, so walks of different lengths cannot be compared;"
                " take parts=pooled or one number of frames"
            )
        return GaitOutput(
            to_clips(vectors, lengths).transpose(1, 2), to_clips(self.fc(vectors), lengths).transpose(1, 2)
        )

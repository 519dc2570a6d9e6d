"""ReelResnet: an ordinary ResNet on every frame, and no pooling over time (000_5904b90314bc883c.txt).

``parts=time`` is the source's: each frame's vector is one part of the embedding, so that frame i is compared with frame
i, whatever moment of the walk these are, and walks of different lengths cannot be compared at all. Its classifier has
75 outputs for 74 persons. (Its file holds 9,408 more parameters, a stem that nothing uses.) ``parts=pooled`` is the
mended form: one vector a walk, the maximum or mean over its frames.
"""

from collections.abc import Sequence
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from exp.layers.resnet import AttentionFactory
from exp.tasks.gait.models.backbone import FrameResNet, init_gait
from exp.tasks.gait.models.net import GaitOutput, flat
from exp.tasks.gait.models.temporal import pool_frames, to_clips
from exp.tasks.gait.options import ReelResnetOptions


class ReelResnet(nn.Module):
    """Walks -> embedding (n, 8 width, p) and logits (n, outputs, p), p the frames or 1.

    Args:
        options: See ``ReelResnetOptions``.
        image_size: Not needed; frames may have any size.
        num_classes: Persons of the training set.
        att: Builds an attention block from its channels, or None.
        placement: Where the attention blocks go in the frame network.
        given: Options by name, in place of ``options``.

    Attributes:
        needs_order: Whether the frames' order means something to the net.
        parts: Vectors of an embedding; 0 where they are as many as frames.

    Raises:
        ValueError: The classifier has fewer outputs than there are persons.
    """

    def __init__(
        self,
        options: ReelResnetOptions | None = None,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = ReelResnetOptions.of(options, given)
        outputs = num_classes if options.outputs is None else options.outputs
        if outputs < num_classes:
            raise ValueError(f"ReelResnet: outputs={outputs} are too few for {num_classes} persons")
        self.needs_order = options.parts == "time"
        self.parts = 0 if self.needs_order else 1
        self.temporal_pool = options.temporal_pool
        self.backbone = FrameResNet(options, att=att, placement=placement)
        self.fc = nn.Linear(self.backbone.out_channels, outputs)
        init_gait(self)

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        """Embeds clips (n, s, H, W), or walks one behind the other (F, H, W) with their lengths.

        Raises:
            ValueError: Walks have several lengths where frames are parts.
        """
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
        embedding, logits = (rearrange(to_clips(x, lengths), "n s c -> n c s") for x in (vectors, self.fc(vectors)))
        return GaitOutput(embedding, logits)

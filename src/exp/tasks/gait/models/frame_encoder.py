"""A transformer encoder over time, one sequence a patch of the frame maps.

Source: BaseAttention of 000_5904b90314bc883c.txt, whose encoder is torchvision's of the vision transformer (Dosovitskiy
et al., ICLR 2021).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from exp.tasks.gait.models.temporal import to_clips
from exp.tasks.gait.options import BaseAttentionOptions


class FrameEncoder(nn.Module):
    """Maps (F, channels, h, w) -> (n, channels, h, w): patches through an encoder, its class token for the walk.

    Args:
        options: See ``BaseAttentionOptions``.
        channels: Channels of the maps.

    Raises:
        ValueError: The channels of a token are odd or no multiple of the heads.
    """

    def __init__(self, options: BaseAttentionOptions, channels: int) -> None:
        super().__init__()
        dim, heads, patch = options.dim, options.heads, options.patch
        if dim % heads or dim % 2:
            raise ValueError(f"FrameEncoder: dim={dim} must be even and a multiple of heads={heads}")
        self.patch, self.positions, self.frames = patch, options.positions, options.frames
        self.reduce = nn.Conv2d(channels, dim, patch, patch, bias=False)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        learned = options.positions == "learned"
        self.place = nn.Parameter(torch.empty(1, options.frames + 1, dim)) if learned else None
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, options.mlp, options.dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(options.depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Conv2d(dim, channels, 1, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Sets the learned positions to small random numbers."""
        if self.place is not None:
            nn.init.normal_(self.place, std=0.02)

    def forward(self, maps: Tensor, lengths: Sequence[int]) -> Tensor:
        """Maps frame maps (F, channels, h, w) of walks of these lengths to (n, channels, h, w).

        Raises:
            ValueError: Positions are learned for another number of frames.
        """
        height, width = maps.shape[-2:]
        patches = self.reduce(F.pad(maps, (0, -width % self.patch, 0, -height % self.patch)))
        clips = to_clips(patches, lengths)
        n, s, _, h, w = clips.shape
        x = rearrange(clips, "n s c h w -> (n h w) s c")
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x = self.dropout(self._placed(x))
        beyond = None
        if len(set(lengths)) > 1:
            steps = torch.tensor(lengths, device=x.device).repeat_interleave(h * w)
            beyond = torch.arange(s + 1, device=x.device)[None] > steps[:, None]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=beyond)
        walks = rearrange(self.norm(x)[:, 0], "(n h w) c -> n c h w", n=n, h=h, w=w)
        large = F.interpolate(self.expand(walks), scale_factor=float(self.patch), mode="bilinear", align_corners=True)
        return large[..., :height, :width]

    def _placed(self, x: Tensor) -> Tensor:
        """Returns tokens (b, 1 + frames, dim) with their places in time added."""
        steps, dim = x.shape[1:]
        if self.place is not None:
            if steps != self.frames + 1:
                raise ValueError(
                    f"FrameEncoder: positions=learned are for {self.frames} frames, the walk has {steps - 1};"
                    " take positions=sinusoidal or walks of that length"
                )
            return x + self.place
        if self.positions == "none":
            return x
        step = torch.arange(steps, device=x.device, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000.0) / dim))
        waves = torch.stack([(step * rate).sin(), (step * rate).cos()], dim=2).flatten(1)
        return x + waves.to(x.dtype)

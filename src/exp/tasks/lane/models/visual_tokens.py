"""From feature maps to the tokens a decoder attends to, with the remedies that notebook 001 proposes as options."""

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from exp.tasks.lane.models.fpn import LEVELS, STRIDES
from exp.tasks.lane.models.position2d import sincos2d
from exp.tasks.lane.options import LaneLMOptions


class VisualTokens(nn.Module):
    """LayerNorm, projection, scale, 2-D position and level embedding, one set of tokens a level.

    Args:
        options: See ``LaneLMOptions``, of which ``fpn_channels`` (of the maps), ``dim`` (of the tokens), ``levels``,
            ``subsample``, ``encoder``, ``encoder_scale`` and ``position_strength`` are read.
        given: Options by name, in place of ``options``.

    Attributes:
        levels: Names of the maps, of p3, p4, p5.

    Shape:
        One (B, fpn_channels, H_i, W_i) a level -> one (B, N_i, dim) a level.
    """

    def __init__(self, options: LaneLMOptions | None = None, **given: Any) -> None:
        super().__init__()
        self.options = options = LaneLMOptions.of(options, given)
        in_channels, dim = options.fpn_channels, options.dim
        self.levels = tuple(options.levels.split("+"))
        self.norms = nn.ModuleList(nn.LayerNorm(in_channels) for _ in self.levels)
        self.projections = nn.ModuleList(nn.Linear(in_channels, dim) for _ in self.levels)
        self.skips = nn.ModuleList(
            nn.Linear(in_channels, dim, bias=False) for _ in self.levels if options.encoder == "residual"
        )
        self.level_embedding = nn.Parameter(torch.randn(len(self.levels), dim) * 0.02)

    def step(self, level: str) -> int:
        """Returns the distance of two tokens of a level in pixels of the input."""
        return STRIDES[level] * (2 if self._halved(level) else 1)

    def thinned(self, level: str, cells: Tensor) -> Tensor:
        """Returns those of a level's cells (..., H_i, W_i) that give tokens."""
        return cells[..., ::2, ::2] if self._halved(level) else cells

    def _halved(self, level: str) -> bool:
        return self.options.subsample and level != "p5"

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        tokens = []
        for i, level in enumerate(self.levels):
            features = self.thinned(level, maps[i])
            if self.options.encoder == "standardised":
                deviation, mean = torch.std_mean(features, (1, 2, 3), keepdim=True)
                features = (features - mean) / (deviation + 1e-6)
            height, width = features.shape[-2:]
            flat = rearrange(features, "b c h w -> b (h w) c")
            encoded = self.projections[i](self.norms[i](flat))
            if self.options.encoder == "residual":
                encoded = encoded + self.skips[i](flat)
            # All levels share one frame: cells of the finest level.
            step = self.step(level) / STRIDES[LEVELS[0]]
            code = sincos2d(height, width, self.options.dim, step=step, device=features.device)
            scaled = self.options.encoder_scale * encoded
            tokens.append(scaled + self.options.position_strength * code + self.level_embedding[i])
        return tokens

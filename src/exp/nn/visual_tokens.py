"""From feature maps to the tokens a decoder attends to, with the remedies that notebook 001 proposes as switches."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exp.nn.checks import one_of
from exp.nn.fpn import LEVELS, STRIDES
from exp.nn.position2d import sincos2d

ENCODERS = ("layernorm", "standardised", "residual")


class VisualTokens(nn.Module):
    """LayerNorm, projection, scale, 2-D position and level embedding, one set of tokens a level.

    Args:
        in_channels: Channels of the maps.
        dim: Channels of a token, a multiple of 4.
        levels: Names of the maps, of p3, p4, p5.
        encoder: ``layernorm`` alone; ``standardised`` first brings each map to mean 0 and deviation 1; ``residual``
            adds a projection of the map as it is.
        scale: Factor after the projection.
        position_strength: Factor of the position code.
        subsample: Whether p3 and p4 give one token for each 2x2 places (p5 is always whole).

    Shape:
        One (B, in_channels, H_i, W_i) a level -> one (B, N_i, dim) a level.

    Raises:
        ValueError: For a name or number outside those named.
    """

    def __init__(
        self,
        in_channels: int,
        dim: int,
        levels: Sequence[str],
        *,
        encoder: str = "layernorm",
        scale: float = 1.0,
        position_strength: float = 1.0,
        subsample: bool = False,
    ) -> None:
        super().__init__()
        for level in levels:
            one_of("VisualTokens", "levels", level, LEVELS)
        self.encoder = one_of("VisualTokens", "encoder", encoder, ENCODERS)
        self.levels = tuple(levels)
        self.dim = dim
        self.scale = scale
        self.position_strength = position_strength
        self.subsample = subsample
        self.norms = nn.ModuleList(nn.LayerNorm(in_channels) for _ in levels)
        self.projections = nn.ModuleList(nn.Linear(in_channels, dim) for _ in levels)
        self.skips = nn.ModuleList(
            nn.Linear(in_channels, dim, bias=False) for _ in levels if self.encoder == "residual"
        )
        self.level_embedding = nn.Parameter(torch.randn(len(self.levels), dim) * 0.02)

    def step(self, level: str) -> int:
        """Distance of two tokens of a level in pixels of the input."""
        return STRIDES[level] * (2 if self.subsample and level != "p5" else 1)

    def thinned(self, level: str, cells: Tensor) -> Tensor:
        """(..., H_i, W_i) -> the cells that give tokens."""
        return cells[..., ::2, ::2] if self.subsample and level != "p5" else cells

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        tokens = []
        for i, level in enumerate(self.levels):
            features = self.thinned(level, maps[i])
            if self.encoder == "standardised":
                deviation, mean = torch.std_mean(features, (1, 2, 3), keepdim=True)
                features = (features - mean) / (deviation + 1e-6)
            height, width = features.shape[-2:]
            flat = features.flatten(2).transpose(1, 2)
            encoded = self.projections[i](self.norms[i](flat))
            if self.encoder == "residual":
                encoded = encoded + self.skips[i](flat)
            # All levels share one frame: cells of the finest level.
            code = sincos2d(height, width, self.dim, step=self.step(level) / STRIDES[LEVELS[0]], device=features.device)
            tokens.append(self.scale * encoded + self.position_strength * code + self.level_embedding[i])
        return tokens

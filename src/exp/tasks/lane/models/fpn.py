"""Feature pyramid network over ResNet stages (Lin et al., CVPR 2017), of which only the levels asked for are built."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = ("p3", "p4", "p5")
"""Levels of the pyramid, from fine to coarse."""
STRIDES = {"p3": 8, "p4": 16, "p5": 32}
"""Side of each level's cells in pixels of the image."""


class FPN(nn.Module):
    """Maps stage outputs (C3, C4, C5) to pyramid levels of equal width.

    Args:
        in_channels: Channels of C3, C4 and C5.
        channels: Channels of every level.
        levels: The levels to return, of p3, p4, p5. What only others need is not built.

    Shape:
        C3, C4, C5 (B, C_i, H / s, W / s) with s = 8, 16, 32 -> one (B, channels, H / s, W / s) a level.

    Raises:
        ValueError: A level has another name.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, levels: Sequence[str]) -> None:
        super().__init__()
        unknown = [level for level in levels if level not in LEVELS]
        if unknown:
            raise ValueError(f"FPN: levels={unknown[0]}: not one of {', '.join(LEVELS)}")
        self.levels = tuple(levels)
        self.lowest = min(LEVELS.index(level) for level in levels)
        used = range(self.lowest, len(LEVELS))
        self.laterals = nn.ModuleDict({LEVELS[i]: nn.Conv2d(in_channels[i], channels, 1) for i in used})
        self.outputs = nn.ModuleDict({level: nn.Conv2d(channels, channels, 3, padding=1) for level in self.levels})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        above: Tensor | None = None
        maps = {}
        for i in range(len(LEVELS) - 1, self.lowest - 1, -1):
            here = self.laterals[LEVELS[i]](stages[i])
            if above is not None:
                here = here + F.interpolate(above, size=here.shape[-2:], mode="nearest")
            above = here
            if LEVELS[i] in self.outputs:
                maps[LEVELS[i]] = self.outputs[LEVELS[i]](here)
        return [maps[level] for level in self.levels]

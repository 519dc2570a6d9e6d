"""Joining a walk's map by pooling and its map by an LSTM, position by position.

Source: 000_5904b90314bc883c.txt (concatenation and the gate of AttentionLstm).
"""

import torch
from torch import Tensor, nn

from exp.tasks.gait.options import Fusion


class TwoBranches(nn.Module):
    """Maps (n, first, h, w) and (n, second, h, w) -> (n, out_channels, h, w).

    Args:
        first: Channels of the temporal branch.
        second: Channels of the pooled branch.
        out_channels: Channels of the result.
        fusion: concat: side by side, then a 1x1 convolution. add: both mapped to ``out_channels`` and added. gate: side
            by side, each number times a sigmoid gate of two 1x1 convolutions, then a 1x1 convolution (the source calls
            this attention). attention: both mapped to ``out_channels`` and averaged with softmax weights, one a branch
            and position.
    """

    def __init__(self, first: int, second: int, out_channels: int, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        both = first + second
        self.gate: nn.Module | None = None
        self.score: nn.Module | None = None
        if fusion in ("concat", "gate"):
            self.project = nn.ModuleList([nn.Conv2d(both, out_channels, 1, bias=fusion == "gate")])
        else:
            self.project = nn.ModuleList([nn.Conv2d(c, out_channels, 1, bias=False) for c in (first, second)])
        if fusion == "gate":
            self.gate = nn.Sequential(
                nn.Conv2d(both, both // 2, 1), nn.ReLU(inplace=True), nn.Conv2d(both // 2, both, 1), nn.Sigmoid()
            )
        if fusion == "attention":
            self.score = nn.Conv2d(both, 2, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Joins (n, first, h, w) and (n, second, h, w) to (n, out_channels, h, w)."""
        if self.fusion in ("concat", "gate"):
            both = torch.cat([first, second], dim=1)
            return self.project[0](both if self.gate is None else both * self.gate(both))
        a, b = self.project[0](first), self.project[1](second)
        if self.score is None:
            return a + b
        weight = self.score(torch.cat([first, second], dim=1)).softmax(1)
        return a * weight[:, :1] + b * weight[:, 1:]

"""An attention block that changes nothing, knows its channel count and counts its calls."""

from torch import Tensor, nn


class Probe(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == self.channels
        self.seen += 1
        return x * 1

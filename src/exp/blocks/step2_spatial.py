"""The spatial half of the step-2 block: a mask from branches of several kernel sizes that a router weighs by sample.

Source: 003_9e75db76f5a1d95d.txt (sections B1 to B5) and the module it describes. Two of its parts do not do what the
text claims, and have a form here that does:

- The router pools its input to one mean, and the mean of a coordinate channel is the same number for every image: what
  the router decides cannot depend on where anything is. ``grid`` keeps means of four quarters, ``attend`` weighs the
  positions by their content before it takes the mean, so that the mean coordinate depends on where the content is.
- A depthwise convolution followed by a 1x1 with nothing in between is one plain convolution, with more parameters and
  not fewer. ``activated`` puts batch norm and ReLU between, ``plain`` is the folded convolution.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from exp.blocks.options import Step2Options
from exp.blocks.temperature import Temperature
from exp.layers.activations import make_gate
from exp.layers.axis_pools import pool_axes


def coordinates(x: Tensor, how: Literal["minus1to1", "0to1"]) -> Tensor:
    """Returns the positions of x (B, C, H, W) as (B, 2, H, W), x before y, from -1 or 0 to 1 along each axis."""
    low = -1.0 if how == "minus1to1" else 0.0
    n, _, height, width = x.shape
    across, down = (low + (1.0 - low) * _ramp(x.new_ones(size)) for size in (width, height))
    return torch.stack([across.expand(height, width), down[:, None].expand(height, width)]).expand(n, 2, height, width)


def _ramp(ones: Tensor) -> Tensor:
    """Returns even steps from 0 to 1, as many as there are ones; a sum, which ONNX keeps in the right precision."""
    steps = ones.cumsum(0) - 1
    return steps / steps[-1:].clamp(min=1)


def branch(channels: int, kernel: int, dilation: int, kind: Literal["separable", "plain", "activated"]) -> nn.Module:
    """Returns one branch, (B, channels, H, W) -> (B, 1, H, W), without bias."""
    padding = dilation * (kernel - 1) // 2
    if kind == "plain":
        return nn.Conv2d(channels, 1, kernel, padding=padding, dilation=dilation, bias=False)
    depthwise = nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False)
    between = [nn.BatchNorm2d(channels), nn.ReLU()] if kind == "activated" else []
    return nn.Sequential(depthwise, *between, nn.Conv2d(channels, 1, 1, bias=False))


class RouterPool(nn.Module):
    """Statistics (B, outputs, 1, 1) of (B, channels, H, W) by which a router decides.

    Args:
        channels: Of the input.
        kind: ``mean``; ``grid`` (means of four quarters, 4 x channels outputs); ``attend`` (mean with weights that are
            a softmax over the positions of a 1x1 convolution's output).
    """

    def __init__(self, channels: int, kind: Literal["mean", "grid", "attend"]) -> None:
        super().__init__()
        self.kind = kind
        self.outputs = 4 * channels if kind == "grid" else channels
        self.score = nn.Conv2d(channels, 1, 1, bias=False) if kind == "attend" else None

    def forward(self, s: Tensor) -> Tensor:
        if self.score is not None:
            shares = self.score(s).flatten(2).softmax(2)
            return (s.flatten(2) * shares).sum(2)[:, :, None, None]
        if self.kind == "mean":
            return s.mean((2, 3), keepdim=True)
        quarters = [half.mean((2, 3), keepdim=True) for rows in _halves(s, 2) for half in _halves(rows, 3)]
        return torch.cat(quarters, 1)


def _halves(s: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Returns the two halves along an axis; where its length is odd they share the middle, so neither is ever empty."""
    size = s.shape[axis]
    return s.narrow(axis, 0, (size + 1) // 2), s.narrow(axis, size // 2, size - size // 2)


class Step2Spatial(nn.Module):
    """Spatial gate (B, 1, H, W) of x (B, C, H, W).

    Mean and maximum over the channels and two coordinates pass K branches; the branches' logits are summed with K
    weights a sample (softmax of a router, sum 1), divided by the temperature and gated once. With one branch there is
    no router: its only weight would be 1.

    Args:
        options: See ``Step2Options``.
    """

    def __init__(self, options: Step2Options) -> None:
        super().__init__()
        self.coord = options.coord
        sizes = [(int(size), 1) for size in options.kernels.split("+")]
        if options.dilated:
            sizes.append((options.dilated_kernel, options.dilation))
        inputs = 2 if options.coord == "none" else 4
        self.seen = min(inputs, options.router_inputs)
        self.branches = nn.ModuleList([branch(inputs, size, gap, options.branch) for size, gap in sizes])
        self.router: nn.Module | None = None
        if len(sizes) > 1:
            pool = RouterPool(self.seen, options.router_pool)
            self.router = nn.Sequential(
                pool,
                nn.Conv2d(pool.outputs, options.router_hidden, 1),
                nn.ReLU(),
                nn.Conv2d(options.router_hidden, len(sizes), 1),
            )
        self.router_weights = nn.Softmax(dim=1)
        self.temperature = Temperature(
            options.temperature, learnable=options.learnable_temperature, inverse=options.temperature_inverse
        )
        self.gate = make_gate(options.gate)

    def forward(self, x: Tensor, planes: Tensor | None = None) -> Tensor:
        """Returns the gate.

        Args:
            x: (B, C, H, W).
            planes: Its mean and maximum over the channels (B, 2, H, W) as of ``pool_axes``; taken here if not given.
        """
        if planes is None:
            (planes,) = pool_axes(x, ("avg", "max"), [1])
        s = planes if self.coord == "none" else torch.cat([planes, coordinates(x, self.coord)], 1)
        logits = torch.cat([branch(s) for branch in self.branches], 1)
        if self.router is not None:
            logits = (logits * self.router_weights(self.router(s[:, : self.seen]))).sum(1, keepdim=True)
        return self.gate(self.temperature(logits))

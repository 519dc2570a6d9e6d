"""The spatial half of the step-2 block: a mask from branches of several kernel sizes that a router weighs by sample.

Source: 003_9e75db76f5a1d95d.txt (sections B1 to B5) and the module it describes. Two of its parts do not do what the
text says, and have a form here that does:

- The router pools its input to one mean, and the mean of a coordinate channel is the same number for every image: what
  the router decides cannot depend on where anything is. `grid` keeps means of four quarters, `attend` weighs the
  positions by their content before it takes the mean, so that the mean coordinate says where the content is.
- A depthwise convolution followed by a 1x1 with nothing in between is one plain convolution, with more parameters and
  not fewer. `activated` puts BatchNorm and ReLU between, `plain` is the folded convolution.
"""

import torch
from torch import Tensor, nn

from exp.nn.activations import make_gate
from exp.nn.checks import acts_only, at_least, odd, one_of, one_of_ints, plus_set
from exp.nn.step2_channel import STEP2_GATES
from exp.nn.temperature import Temperature

COORDS = ("minus1to1", "0to1", "none")
BRANCHES = ("separable", "plain", "activated")
ROUTER_POOLS = ("mean", "grid", "attend")
KERNELS = ("1", "3", "5", "7", "9", "11", "13", "15")


def coordinates(x: Tensor, how: str) -> Tensor:
    """Grid of positions (B, 2, H, W), x before y, from -1 or 0 to 1 along each axis."""
    low = -1.0 if how == "minus1to1" else 0.0
    n, _, height, width = x.shape
    across, down = (low + (1.0 - low) * _ramp(x.new_ones(size)) for size in (width, height))
    return torch.stack([across.expand(height, width), down[:, None].expand(height, width)]).expand(n, 2, height, width)


def _ramp(ones: Tensor) -> Tensor:
    """From 0 to 1 in even steps, one number a one; written with a sum, which ONNX keeps in the right precision."""
    steps = ones.cumsum(0) - 1
    return steps / steps[-1:].clamp(min=1)


def branch(channels: int, kernel: int, dilation: int, kind: str) -> nn.Module:
    """One branch, (B, channels, H, W) -> (B, 1, H, W), without bias."""
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
        kind: mean; grid (means of four quarters, 4 x channels outputs); attend (mean with weights that are a softmax
            over the positions of a 1x1 convolution's output).
    """

    def __init__(self, channels: int, kind: str) -> None:
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
    """The two halves along an axis; they share the middle row where its length is odd, so neither is ever empty."""
    size = s.shape[axis]
    return s.narrow(axis, 0, (size + 1) // 2), s.narrow(axis, size // 2, size - size // 2)


class Step2Spatial(nn.Module):
    """Spatial gate (B, 1, H, W) of x (B, C, H, W).

    Mean and maximum over the channels and two coordinates pass K branches; the branches' logits are summed with K
    weights a sample (softmax of a router, sum 1), divided by the temperature and gated once. With one branch there is
    no router: its only weight would be 1.

    Args:
        kernels: Odd sizes joined by +.
        dilated: Whether a dilated branch is added.
        dilated_kernel: Its size.
        dilation: Its dilation.
        branch_kind: separable (published), plain or activated.
        coord: minus1to1 (published), 0to1 or none.
        router_inputs: 4, or 2 for a router that sees no coordinates; with coordinates only.
        router_pool: mean (published), grid or attend.
        router_hidden: Hidden width of the router.
        gate: sigmoid or hard_sigmoid.
        temperature: Divides the logits.
    """

    def __init__(
        self,
        *,
        kernels: str,
        dilated: bool,
        dilated_kernel: int,
        dilation: int,
        branch_kind: str,
        coord: str,
        router_inputs: int,
        router_pool: str,
        router_hidden: int,
        gate: str,
        temperature: Temperature,
    ) -> None:
        super().__init__()
        where = "Step2"
        one_of(where, "branch", branch_kind, BRANCHES)
        one_of(where, "router_pool", router_pool, ROUTER_POOLS)
        self.coord = one_of(where, "coord", coord, COORDS)
        acts_only(where, "router_inputs", router_inputs, 4, coord != "none", "coord other than 'none'")
        one_of_ints(where, "router_inputs", router_inputs, (2, 4))
        acts_only(where, "dilated_kernel", dilated_kernel, 7, dilated, "dilated=True")
        acts_only(where, "dilation", dilation, 2, dilated, "dilated=True")
        at_least(where, "dilation", dilation, 1)
        at_least(where, "router_hidden", router_hidden, 1)
        sizes = [(int(size), 1) for size in plus_set(where, "kernels", kernels, KERNELS)]
        if dilated:
            sizes.append((odd(where, "dilated_kernel", dilated_kernel), dilation))
        inputs = 2 if coord == "none" else 4
        self.seen = min(inputs, router_inputs)
        self.branches = nn.ModuleList([branch(inputs, size, gap, branch_kind) for size, gap in sizes])
        self.router: nn.Module | None = None
        if len(sizes) > 1:
            pool = RouterPool(self.seen, router_pool)
            self.router = nn.Sequential(
                pool,
                nn.Conv2d(pool.outputs, router_hidden, 1),
                nn.ReLU(),
                nn.Conv2d(router_hidden, len(sizes), 1),
            )
        self.router_weights = nn.Softmax(dim=1)
        self.temperature = temperature
        self.gate = make_gate(gate, where=where, allowed=STEP2_GATES)

    def inputs(self, x: Tensor) -> Tensor:
        """What branches and router see: mean, maximum, and the coordinates where there are any."""
        maps = [x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]]
        if self.coord != "none":
            maps.append(coordinates(x, self.coord))
        return torch.cat(maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = self.inputs(x)
        logits = torch.cat([branch(s) for branch in self.branches], 1)
        if self.router is not None:
            logits = (logits * self.router_weights(self.router(s[:, : self.seen]))).sum(1, keepdim=True)
        return self.gate(self.temperature(logits))

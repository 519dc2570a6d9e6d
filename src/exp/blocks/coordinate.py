"""Coordinate attention: two gates, one an axis, that keep the position along that axis.

Source: Hou, Zhou, Feng, "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021. Own additions: several
statistics along each axis (planned in 004_19b35580bfaac8c6.txt) and the other two planes in a form whose weights depend
on neither H nor W.

Means are taken with ``mean()``, never with adaptive pooling, which has no deterministic backward pass on CUDA and no
ONNX form for free sizes.
"""

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.options import CoordinateAttentionOptions
from exp.layers.activations import make_activation, make_gate
from exp.layers.axis_gates import Joint, scaled
from exp.layers.axis_pools import pooled
from exp.layers.backend import eager_on_cpu

Plane = Literal["hw", "cw", "ch"]

_LOCAL_KERNEL = 7
"""Kernel of the local mixing in place of the 1x1 convolution where the mixed axis is H or W."""
_AXES: dict[Plane, tuple[int, int, int]] = {"hw": (1, 2, 3), "cw": (2, 1, 3), "ch": (3, 1, 2)}
"""Plane (A, B), with the remaining axis R in the channels' role -> axes of (B, C, H, W) as (R, A, B)."""


class CoordinateGates(nn.Module):
    """The two gates of coordinate attention on one plane (A, B), mixing over the remaining axis R.

    Profiles: x pooled over B gives (R, A), pooled over A gives (R, B). Both pass one shared mixing convolution over R
    to a hidden width, batch norm and activation, then one convolution each back to R, and the gate. Several statistics
    are concatenated before the shared convolution.

    On plane hw, R = C and the convolutions are 1x1 with hidden width max(min_channels, C // reduction): the official
    block with its key names (``conv1``, ``bn1``, ``conv_h``, ``conv_w``). On cw and ch, R is H or W, on whose size the
    weights must not depend: the convolutions run along R with kernel 7, 1 -> min_channels -> 1, shared by all positions
    of A and B.

    Args:
        channels: C.
        options: See ``CoordinateAttentionOptions``; ``axes`` is not read here.
        plane: The plane (A, B).
        given: Options by name, in place of ``options``.
    """

    def __init__(
        self,
        channels: int,
        options: CoordinateAttentionOptions | None = None,
        *,
        plane: Plane = "hw",
        **given: Any,
    ) -> None:
        super().__init__()
        options = CoordinateAttentionOptions.of(options, given)
        self.plane: Plane = plane
        self.pools = tuple(options.pools.split("+"))
        if plane == "hw":
            width, hidden, kernel = channels, max(options.min_channels, channels // options.reduction), 1
        else:
            width, hidden, kernel = 1, options.min_channels, _LOCAL_KERNEL
        padding = (kernel // 2, 0)
        self.conv1 = nn.Conv2d(len(self.pools) * width, hidden, (kernel, 1), padding=padding, bias=options.bias)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act = make_activation(options.activation)
        self.conv_h = nn.Conv2d(hidden, width, (kernel, 1), padding=padding, bias=options.bias)
        self.conv_w = nn.Conv2d(hidden, width, (kernel, 1), padding=padding, bias=options.bias)
        self.gate = make_gate(options.gate)

    def pooled(self, x: Tensor) -> tuple[list[Tensor], Joint | None]:
        """Returns the statistics of x (B, C, H, W) over B and over A, and what ``scaled`` takes with the gates."""
        _, axis_a, axis_b = _AXES[self.plane]
        return pooled(x, self.pools, [axis_b, axis_a], ((0, 1),))

    def logits(self, x: Tensor, statistics: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Returns the two maps before the gate, each broadcastable to x (B, C, H, W): first along A, then along B.

        Args:
            x: (B, C, H, W).
            statistics: Those of ``pooled``; taken here if not given.
        """
        axis_r, axis_a, axis_b = _AXES[self.plane]
        size_a = x.shape[axis_a]
        # (n, P, r, a + b): every profile with the mixed axis r before the position.
        over_b, over_a = self.pooled(x)[0] if statistics is None else statistics
        profiles = torch.cat([self._mixed_first(over_b, axis_b), self._mixed_first(over_a, axis_a)], 3)
        if self.plane == "hw":
            out_a, out_b = self._channel_logits(profiles.flatten(1, 2), size_a)
            return out_a.unsqueeze(3), out_b.unsqueeze(2)
        hidden = self.act(self.bn1(self.conv1(profiles)))
        along_a, along_b = hidden.split([size_a, hidden.shape[3] - size_a], 3)
        out_a, out_b = self.conv_h(along_a).squeeze(1), self.conv_w(along_b).squeeze(1)  # (n, r, a) and (n, r, b)
        return self._place(out_a, axis_r, axis_a), self._place(out_b, axis_r, axis_b)

    def _channel_logits(self, profiles: Tensor, height: int) -> tuple[Tensor, Tensor]:
        """Returns the two maps (n, c, h) and (n, c, w) of the profiles (n, P c, h + w)."""
        sizes = [height, profiles.shape[2] - height]
        if not eager_on_cpu(profiles):
            hidden = self.act(self.bn1(self.conv1(profiles.unsqueeze(3))))
            along_h, along_w = hidden.split(sizes, 2)
            return self.conv_h(along_h).squeeze(3), self.conv_w(along_w).squeeze(3)
        # A product of matrices is what a 1x1 convolution is; oneDNN takes two to three times as long for these sizes.
        mixed = _pointwise(self.conv1, profiles.transpose(1, 2))  # (n, h + w, hidden)
        hidden = self.act(self.bn1(mixed.transpose(1, 2).unsqueeze(3))).squeeze(3).transpose(1, 2)
        along_h, along_w = hidden.split(sizes, 1)
        return _pointwise(self.conv_h, along_h).transpose(1, 2), _pointwise(self.conv_w, along_w).transpose(1, 2)

    def forward(self, x: Tensor, statistics: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Returns the two gates, each broadcastable to x (B, C, H, W); the arguments are those of ``logits``."""
        logit_a, logit_b = self.logits(x, statistics)
        return self.gate(logit_a), self.gate(logit_b)

    def _mixed_first(self, profile: Tensor, pooled: int) -> Tensor:
        kept = [axis for axis in (1, 2, 3) if axis != pooled]
        return profile if kept[0] == _AXES[self.plane][0] else profile.transpose(2, 3)

    def _place(self, profile: Tensor, axis_r: int, axis: int) -> Tensor:
        ordered = profile if axis_r < axis else profile.transpose(1, 2)
        return ordered.unsqueeze(6 - axis_r - axis)


def _pointwise(conv: nn.Conv2d, rows: Tensor) -> Tensor:
    """Returns a 1x1 convolution of rows (..., channels)."""
    return F.linear(rows, conv.weight.flatten(1), conv.bias)


class CoordinateAttention(nn.Module):
    """Coordinate attention, x (B, C, H, W) -> same shape.

    The defaults are the official block (C -> max(8, C // 32), biases, hard swish, two sigmoids). Its parameters are
    C m + m + 2 m + 2 (m C + C) with m = max(8, C // reduction).

    Args:
        channels: C.
        options: See ``CoordinateAttentionOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: CoordinateAttentionOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = CoordinateAttentionOptions.of(options, given)
        planes = cast("list[Plane]", options.axes.split("+"))
        self.planes = nn.ModuleDict({plane: CoordinateGates(channels, options, plane=plane) for plane in planes})

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the gates, same shape; the products of several planes are averaged."""
        first, *others = cast("list[CoordinateGates]", list(self.planes.values()))
        statistics, joint = first.pooled(x)
        gates = [first(x, statistics), *(plane(x) for plane in others)]
        if others:
            gates = [(along / len(gates), across) for along, across in gates]
        return scaled(x, gates, joint)

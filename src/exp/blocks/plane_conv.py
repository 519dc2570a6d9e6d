"""A 2-D convolution of few planes to one plane that is fast on a CPU.

oneDNN runs the backward pass of a k x k convolution with 2 input channels and 1 output channel at about 1 GFLOP/s. The
same map is a 1-D convolution along the plane's longer axis, with the shorter axis folded into the channels and a banded
(Toeplitz) weight built from the same k x k kernel: more multiplications, but in a shape that the library does well.
The result is exact up to rounding, parameter gradients included; the state dict is that of ``nn.Conv2d``.
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from exp.layers.backend import eager_on_cpu

MAX_FOLD_PER_TAP = 8
"""The banded form does length / k times the multiplications; above about this ratio it was measured to be slower."""


def banded_weight(kernel: Tensor, length: int) -> Tensor:
    """Returns the Toeplitz weight of a same-padded convolution along an axis that is folded into channels.

    Args:
        kernel: (P, k, f): planes, size along the kept axis, size along the folded axis (odd).
        length: Size of the folded axis.

    Returns:
        A weight (length, P * length, k) with entry [o, p * length + i, t] = kernel[p, t, i - o + f // 2], 0 outside.
    """
    folded = kernel.shape[2]
    side = length - 1 - folded // 2
    padded = F.pad(kernel, (side, side))  # a negative side cuts off what never reaches the axis
    windows = padded.unfold(2, length, 1)  # (P, k, s, i) = padded[p, t, s + i]; output o reads window length - 1 - o
    return rearrange(windows.flip(2), "p k s i -> s (p i) k")


class PlaneConv2d(nn.Conv2d):
    """Same-padded k x k convolution of P planes, (B, P, H, W) -> (B, 1, H, W), with the state dict of ``nn.Conv2d``.

    Args:
        planes: P, the input's planes.
        kernel_size: k, odd.
        bias: Whether a bias is added.
    """

    def __init__(self, planes: int, kernel_size: int, *, bias: bool) -> None:
        super().__init__(planes, 1, kernel_size, padding=kernel_size // 2, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if not self._banded_pays(input):
            return super().forward(input)
        height, width = input.shape[2:]
        kernel = self.weight[0]
        if height <= width:
            weight = banded_weight(kernel.transpose(1, 2), height)
            bias = None if self.bias is None else self.bias.expand(height)
            out = F.conv1d(input.flatten(1, 2), weight, bias, padding=self.kernel_size[0] // 2)
            return out.unsqueeze(1)
        weight = banded_weight(kernel, width)
        bias = None if self.bias is None else self.bias.expand(width)
        out = F.conv1d(input.transpose(2, 3).flatten(1, 2), weight, bias, padding=self.kernel_size[0] // 2)
        return out.transpose(1, 2).unsqueeze(1)

    def _banded_pays(self, input: Tensor) -> bool:
        return eager_on_cpu(input) and min(input.shape[2:]) <= MAX_FOLD_PER_TAP * self.kernel_size[0]

"""A dilated depthwise convolution that is faster on a CPU.

A convolution with dilation d never mixes positions of different residue modulo d: it is d * d interleaved undilated
convolutions. CPU libraries run those, channels last, two to three times as fast, backward pass included. On sub-grids
smaller than the kernel the outer weights multiply only padding and are cut off. The result is exact up to rounding; the
state dict is that of ``nn.Conv2d``.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from exp.layers.backend import eager_on_cpu


class DilatedDepthwise2d(nn.Conv2d):
    """Same-padded dilated depthwise convolution with bias, (B, C, H, W) -> same shape.

    Args:
        channels: C.
        kernel_size: k; an even one needs dilation * (k - 1) to be even, and takes the plain form.
        dilation: d.

    Raises:
        ValueError: The padding on the two sides would differ.
    """

    def __init__(self, channels: int, kernel_size: int, *, dilation: int) -> None:
        if dilation * (kernel_size - 1) % 2:
            raise ValueError(
                f"kernel_size={kernel_size}: has no symmetric padding with dilation={dilation};"
                " dilation * (kernel_size - 1) has to be even"
            )
        padding = dilation * (kernel_size - 1) // 2
        super().__init__(channels, channels, kernel_size, padding=padding, dilation=dilation, groups=channels)

    def forward(self, input: Tensor) -> Tensor:
        # An even kernel reads another residue than it writes.
        if self.kernel_size[0] % 2 == 0 or not eager_on_cpu(input):
            return super().forward(input)
        d = self.dilation[0]
        c, height, width = input.shape[1:]
        rows, columns = -(-height // d), -(-width // d)
        padded = F.pad(input, (0, columns * d - width, 0, rows * d - height))
        # One image for each pair of residues.
        grids = rearrange(padded, "n c (r i) (s j) -> (i j n) c r s", i=d, j=d)
        weight = self._reachable(rows, columns)
        out = F.conv2d(
            grids.contiguous(memory_format=torch.channels_last),
            weight,
            self.bias,
            padding=(weight.shape[2] // 2, weight.shape[3] // 2),
            groups=c,
        )
        whole = rearrange(out, "(i j n) c r s -> n c (r i) (s j)", i=d, j=d)
        return whole[:, :, :height, :width]

    def _reachable(self, rows: int, columns: int) -> Tensor:
        k = self.kernel_size[0]
        cut_rows, cut_columns = max(0, k // 2 - rows + 1), max(0, k // 2 - columns + 1)
        return self.weight[:, :, cut_rows : k - cut_rows, cut_columns : k - cut_columns]

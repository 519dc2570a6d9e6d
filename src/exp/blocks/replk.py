"""The block of RepLKNet: a depthwise convolution with a very large kernel between two 1x1, with a skip.

Source: Ding, Zhang, Han, Ding, "Scaling Up Your Kernels to 31x31: Revisiting Large Kernel Design in CNNs", CVPR 2022,
in the form in which the project behind 004_19b35580bfaac8c6.txt puts it into the Visual Attention Network: small and
large kernel are one from the start, so that nothing is re-parametrised, and no batch norm follows it.
"""

from torch import Tensor, nn

from exp.blocks.dilated_conv import DilatedDepthwise2d
from exp.layers.drop_path import DropPath


class RepLKBlock(nn.Module):
    """x plus batch norm, 1x1, depthwise 31x31 and 1x1 of it; x (B, C, H, W) -> same shape.

    There are 2 C^2 + 968 C parameters with the kernel of 31. Kernels larger than the map are cut to what they reach.

    Args:
        channels: C.
        kernel_size: Side of the depthwise convolution, odd.
        drop_path: Chance to leave the branch out for a sample, in training.
    """

    def __init__(self, channels: int, *, kernel_size: int = 31, drop_path: float = 0.3) -> None:
        super().__init__()
        self.prelkb_bn = nn.BatchNorm2d(channels)
        self.pw1 = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.large_kernel = DilatedDepthwise2d(channels, kernel_size, dilation=1)
        self.lk_nonlinear = nn.ReLU()
        self.pw2 = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) plus its branch, same shape."""
        branch = self.pw2(self.lk_nonlinear(self.large_kernel(self.pw1(self.prelkb_bn(x)))))
        return x + self.drop_path(branch)

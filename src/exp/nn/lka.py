"""Large kernel attention: a large depthwise field from two small depthwise convolutions and a 1x1.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023.
"""

from torch import Tensor, nn

from exp.nn.checks import one_of_ints
from exp.nn.dilated_conv import DilatedDepthwise2d

# Nominal K -> depthwise kernel, dilated depthwise kernel, dilation (VAN's table of K).
LKA_KERNELS = {7: (3, 4, 2), 14: (5, 5, 3), 21: (5, 7, 3), 28: (7, 7, 4)}


class LKA(nn.Module):
    """Large kernel attention: x * attention(x), x (B, C, H, W) -> same shape.

    attention = 1x1(dilated depthwise(depthwise(x))), all with bias, no norm, no activation and no gate, so its scale
    is unbounded. The nominal K is not the true receptive field, which is k + d (k' - 1): 9, 17, 23 and 31 for K = 7,
    14, 21 and 28 (for K = 21: 5 + 3 * 6 = 23, not 21). Key names are the official ones (conv0, conv_spatial, conv1).

    It has no initialisation of its own: under the residual networks' fan-out rule, which forgets the groups, the map
    starts near 0 and the block trains at lr 0.1; under VAN's rule the map starts with a standard deviation near 3,
    which VAN tames by a layer scale of 0.01 and a ResNet does not. On the trunk (placement block_end) the ungated
    product squares the features' scale in every block and overflows in deep networks.

    On a CPU a block costs several times the bottleneck it sits in, even with the faster dilated convolution.

    Args:
        channels: C.
        kernel_size: Nominal K: 7, 14, 21 (official) or 28. Parameters at 21: C^2 + 77 C.

    Raises:
        ValueError: For another K.
    """

    def __init__(self, channels: int, *, kernel_size: int = 21) -> None:
        super().__init__()
        local, dilated, dilation = LKA_KERNELS[one_of_ints("LKA", "kernel_size", kernel_size, LKA_KERNELS)]
        self.conv0 = nn.Conv2d(channels, channels, local, padding=local // 2, groups=channels)
        self.conv_spatial = DilatedDepthwise2d(channels, dilated, dilation=dilation)
        self.conv1 = nn.Conv2d(channels, channels, 1)

    def attention(self, x: Tensor) -> Tensor:
        """Returns the attention map (B, C, H, W), ungated."""
        return self.conv1(self.conv_spatial(self.conv0(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x * attention(x), same shape."""
        return x * self.attention(x)

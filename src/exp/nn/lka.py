"""Large kernel attention: a large depthwise field from two small depthwise convolutions and a 1x1.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023.
"""

import math

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
        self.init_weights()

    def init_weights(self) -> None:
        """VAN's initialisation: normal with variance 2 / (k^2 * outputs a group), biases 0.

        A generic fan-out rule that forgets the groups would make the depthwise weights sqrt(C) times too small.
        """
        for conv in (self.conv0, self.conv_spatial, self.conv1):
            fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels // conv.groups
            nn.init.normal_(conv.weight, 0, math.sqrt(2 / fan_out))
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def attention(self, x: Tensor) -> Tensor:
        """Returns the attention map (B, C, H, W), ungated."""
        return self.conv1(self.conv_spatial(self.conv0(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x * attention(x), same shape."""
        return x * self.attention(x)

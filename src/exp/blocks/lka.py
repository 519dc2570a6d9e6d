"""Large-kernel attention: a large depthwise field from two small depthwise convolutions and a 1x1.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023. The options beside the
kernel size are that paper's ablations (join, gate) and variants in the final report of the project behind
004_19b35580bfaac8c6.txt (norm, activation, the kernel of 57).
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.dilated_conv import DilatedDepthwise2d
from exp.blocks.options import LKAOptions
from exp.layers.activations import make_activation, make_gate

_KERNELS = {7: (3, 4, 2), 14: (5, 5, 3), 21: (5, 7, 3), 28: (7, 7, 4), 57: (7, 11, 5)}
"""Nominal K -> side k of the depthwise kernel, side k' of the dilated one, dilation d.

Those up to 28 are the paper's; the last is the report's, which calls it 31x31."""


class LKA(nn.Module):
    """Large-kernel attention: x * attention(x), x (B, C, H, W) -> same shape.

    attention = 1x1(dilated depthwise(depthwise(x))), all with bias, by default without norm, activation or gate, so
    that its scale is unbounded. The nominal K is not the true receptive field, which is k + d (k' - 1): 9, 17, 23, 31
    and 57 for K = 7, 14, 21, 28 and 57 (for K = 21: 5 + 3 * 6 = 23, not 21). At K = 21 there are C^2 + 77 C parameters.
    Key names are the official ones (``conv0``, ``conv_spatial``, ``conv1``).

    It has no initialisation of its own: under the residual networks' fan-out rule, which does not count groups, the map
    starts near 0 and the block trains at a learning rate of 0.1; under VAN's rule the map starts with a standard
    deviation near 3, which VAN tames by a layer scale of 0.01 and a ResNet does not. On the trunk (placement
    block_end) the ungated product squares the features' scale in every block and overflows in deep networks.

    On a CPU a block costs several times the bottleneck it is put in, even with the faster dilated convolution.

    Args:
        channels: C.
        options: See ``LKAOptions``.
        dilated: Side of the dilated convolution, odd; the kernel's own where not given.
        given: Options by name, in place of ``options``.
    """

    def __init__(
        self, channels: int, options: LKAOptions | None = None, *, dilated: int | None = None, **given: Any
    ) -> None:
        super().__init__()
        options = LKAOptions.of(options, given)
        local, side, dilation = _KERNELS[options.kernel_size]
        self.product = options.join == "product"
        self.conv0 = nn.Conv2d(channels, channels, local, padding=local // 2, groups=channels)
        self.conv_spatial = DilatedDepthwise2d(channels, dilated or side, dilation=dilation)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.norm0, self.norm_spatial, self.norm1 = (
            nn.BatchNorm2d(channels) if options.norm == "batch" else nn.Identity() for _ in range(3)
        )
        self.act = make_activation(options.activation)
        self.gate = make_gate(options.gate)

    def attention(self, x: Tensor) -> Tensor:
        """Returns the attention map (B, C, H, W), gated only where a gate was asked for."""
        deep = self.act(self.norm0(self.conv0(x)))
        deep = self.act(self.norm_spatial(self.conv_spatial(deep)))
        return self.gate(self.norm1(self.conv1(deep)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the map, or plus it, same shape."""
        attention = self.attention(x)
        return x * attention if self.product else x + attention

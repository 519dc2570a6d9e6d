"""Large-kernel attention: a large depthwise field from two small depthwise convolutions and a 1x1.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023. The options beside the
kernel size are that paper's ablations (join, gate) and the variants in the final report of the project behind
004_19b35580bfaac8c6.txt (form, branches, activation, norm), which names them without spelling them out.
"""

from typing import Any

from torch import Tensor, nn

from exp.blocks.dilated_conv import DilatedDepthwise2d
from exp.blocks.options import LKAOptions
from exp.layers.activations import make_activation, make_gate

_KERNELS = {7: (3, 4, 2), 14: (5, 5, 3), 21: (5, 7, 3), 28: (7, 7, 4)}
"""Nominal K -> side k of the depthwise kernel, side k' of the dilated one, dilation d (the paper's table of K)."""


class ParallelDepthwise(nn.Module):
    """Sum of same-padded depthwise convolutions of several sizes, (B, C, H, W) -> same shape."""

    def __init__(self, channels: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels) for size in sizes]
        )

    def forward(self, x: Tensor) -> Tensor:
        total = self.convs[0](x)
        for conv in self.convs[1:]:
            total = total + conv(x)
        return total


class LKA(nn.Module):
    """Large-kernel attention: x * attention(x), x (B, C, H, W) -> same shape.

    attention = 1x1(dilated depthwise(depthwise(x))), all with bias, by default without norm, activation or gate, so
    that its scale is unbounded. The nominal K is not the true receptive field, which is k + d (k' - 1): 9, 17, 23 and
    31 for K = 7, 14, 21 and 28 (for K = 21: 5 + 3 * 6 = 23, not 21). At K = 21 there are C^2 + 77 C parameters. Key
    names are the official ones (``conv0``, ``conv_spatial``, ``conv1``). The dense form sums its two convolutions, as
    in Ding et al., "Scaling Up Your Kernels to 31x31", CVPR 2022.

    It has no initialisation of its own: under the residual networks' fan-out rule, which does not count groups, the map
    starts near 0 and the block trains at a learning rate of 0.1; under VAN's rule the map starts with a standard
    deviation near 3, which VAN tames by a layer scale of 0.01 and a ResNet does not. On the trunk (placement
    block_end) the ungated product squares the features' scale in every block and overflows in deep networks.

    On a CPU a block costs several times the bottleneck it is put in, even with the faster dilated convolution.

    Args:
        channels: C.
        options: See ``LKAOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: LKAOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = LKAOptions.of(options, given)
        local, dilated, dilation = _KERNELS[options.kernel_size]
        self.parallel = options.form == "dense"
        self.product = options.join == "product"
        self.conv0: nn.Module = nn.Conv2d(channels, channels, local, padding=local // 2, groups=channels)
        self.conv_spatial: nn.Module = DilatedDepthwise2d(channels, dilated, dilation=dilation)
        if options.branches is not None:
            self.conv0 = ParallelDepthwise(channels, tuple(map(int, options.branches.split("+"))))
        if self.parallel:
            field = local + dilation * (dilated - 1)
            self.conv_spatial = nn.Conv2d(channels, channels, field, padding=field // 2, groups=channels)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        normed = options.norm == "batch"
        self.norm0 = nn.BatchNorm2d(channels) if normed else nn.Identity()
        self.norm_spatial = nn.BatchNorm2d(channels) if normed else nn.Identity()
        self.act = make_activation(options.activation)
        self.gate = make_gate(options.gate)

    def attention(self, x: Tensor) -> Tensor:
        """Returns the attention map (B, C, H, W), gated only where a gate was asked for."""
        if self.parallel:
            deep = self.act(self.norm0(self.conv0(x)) + self.norm_spatial(self.conv_spatial(x)))
        else:
            deep = self.act(self.norm0(self.conv0(x)))
            deep = self.act(self.norm_spatial(self.conv_spatial(deep)))
        return self.gate(self.conv1(deep))

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the map, or plus it, same shape."""
        attention = self.attention(x)
        return x * attention if self.product else x + attention

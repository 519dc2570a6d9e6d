"""Large kernel attention: a large depthwise field from two small depthwise convolutions and a 1x1.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023. The options beside the
kernel size are that paper's ablations (join, gate) and the variants in the final report of the project behind
004_19b35580bfaac8c6.txt (form, branches, activation, norm), which names them without spelling them out.
"""

from torch import Tensor, nn

from exp.nn.activations import GATES, make_activation, make_gate
from exp.nn.checks import acts_only, one_of, one_of_ints, plus_set
from exp.nn.dilated_conv import DilatedDepthwise2d

# Nominal K -> depthwise kernel, dilated depthwise kernel, dilation (VAN's table of K).
LKA_KERNELS = {7: (3, 4, 2), 14: (5, 5, 3), 21: (5, 7, 3), 28: (7, 7, 4)}
LKA_FORMS = ("decomposed", "dense")
LKA_ACTIVATIONS = ("none", "relu", "gelu", "silu")
LKA_NORMS = ("none", "batch")
LKA_GATES = ("none", *GATES)
LKA_JOINS = ("product", "sum")
LKA_BRANCHES = ("3", "5", "7", "9", "11")


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
        kernel_size: Nominal K: 7, 14, 21 (official) or 28 (whose true field is 31). Parameters at 21: C^2 + 77 C.
        form: decomposed, or dense: one undilated depthwise convolution over the whole true field beside a small one,
            summed (Ding et al., "Scaling Up Your Kernels to 31x31", CVPR 2022).
        branches: Sizes joined by + of parallel depthwise convolutions, summed, in place of the first one; None keeps
            K's own. Only with form=decomposed.
        activation: After each depthwise step: none (official), relu, gelu or silu.
        norm: After each depthwise step, before the activation: none (official) or batch.
        gate: On the attention map: none (official), sigmoid, tanh or hard_sigmoid.
        join: product (official) or sum of x and the map.

    Raises:
        ValueError: For a value outside those named, or branches with form=dense.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 21,
        form: str = "decomposed",
        branches: str | None = None,
        activation: str = "none",
        norm: str = "none",
        gate: str = "none",
        join: str = "product",
    ) -> None:
        super().__init__()
        local, dilated, dilation = LKA_KERNELS[one_of_ints("LKA", "kernel_size", kernel_size, LKA_KERNELS)]
        self.parallel = one_of("LKA", "form", form, LKA_FORMS) == "dense"
        acts_only("LKA", "branches", branches, None, not self.parallel, "form='decomposed'")
        one_of("LKA", "norm", norm, LKA_NORMS)
        self.product = one_of("LKA", "join", join, LKA_JOINS) == "product"
        self.conv0: nn.Module = nn.Conv2d(channels, channels, local, padding=local // 2, groups=channels)
        self.conv_spatial: nn.Module = DilatedDepthwise2d(channels, dilated, dilation=dilation)
        if branches is not None:
            sizes = tuple(int(size) for size in plus_set("LKA", "branches", branches, LKA_BRANCHES))
            self.conv0 = ParallelDepthwise(channels, sizes)
        if self.parallel:
            field = local + dilation * (dilated - 1)
            self.conv_spatial = nn.Conv2d(channels, channels, field, padding=field // 2, groups=channels)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.norm0 = nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()
        self.norm_spatial = nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()
        self.act = make_activation(activation, where="LKA", allowed=LKA_ACTIVATIONS)
        self.gate = make_gate(gate, where="LKA", allowed=LKA_GATES)

    def attention(self, x: Tensor) -> Tensor:
        """Returns the attention map (B, C, H, W), gated only where a gate was asked for."""
        if self.parallel:
            deep = self.act(self.norm0(self.conv0(x)) + self.norm_spatial(self.conv_spatial(x)))
        else:
            deep = self.act(self.norm0(self.conv0(x)))
            deep = self.act(self.norm_spatial(self.conv_spatial(deep)))
        return self.gate(self.conv1(deep))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x * attention(x), same shape."""
        attention = self.attention(x)
        return x * attention if self.product else x + attention

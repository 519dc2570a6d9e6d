"""The options of the attention blocks, with the official form as the default; imports no torch."""

from typing import TYPE_CHECKING, Any, Literal

from exp.blocks.custom_source import custom_source
from exp.options.checks import above, at_least, joined, keywords, odd
from exp.options.fields import Includes, Options, fields, option
from exp.options.parts import BlockOptions, Placement

if TYPE_CHECKING:
    from exp.options.config import Config

STATISTICS = ("avg", "max", "median", "l1", "l2")
"""Statistics along one axis; l1 and l2 are not divided by the axis's length."""
GLOBAL_STATISTICS = ("avg", "max", "lp", "lse")
"""Statistics over all positions: lp is the 2-norm, lse the logarithm of the sum of exponentials."""
LKA_BRANCHES = ("3", "5", "7", "9", "11")
"""Sides of the dilated convolutions of parallel large-kernel attentions."""

Gate = Literal["sigmoid", "tanh", "hard_sigmoid"]
"""Last non-linearity of an attention map, whose output multiplies the features."""
Fusion = Literal["mean", "linear", "conv"]
"""How the maps of several branches become one."""
LargeKernel = Literal[7, 14, 21, 28, 57]
"""Nominal sides of the large kernel, whose true fields are 9, 17, 23, 31 and 57."""
DepthwiseActivation = Literal["none", "relu", "gelu", "silu", "celu", "elu"]
"""Non-linearity after a depthwise step of large-kernel attention."""


class PlaneGateOptions(BlockOptions):
    """What the rotated gates of triplet attention and its variants share."""

    pool: str = option("max+avg", joined(*STATISTICS))
    """Statistics along the compressed axis, in order, joined by +: avg, max, median, l1, l2 (norms, not means)."""
    activation: Literal["none", "sigmoid", "tanh", "relu", "gelu", "leaky_relu", "elu", "celu"] = "none"
    """Non-linearity between batch norm and gate (the official form has none)."""
    gate: Literal["sigmoid", "tanh", "softmax_map", "softmax_branch", "softmax_batch"] = "sigmoid"
    """Last non-linearity; a softmax runs over a sample's map (scaled to mean 1), over the branches at each position, or
    over the batch, which is the source's flaw and needs recipe=published."""
    kernel_size: int = option(7, odd)
    """Side of the gate's convolution, odd."""
    bias: bool = False
    """Bias of the gate's convolution (redundant before batch norm; the source has it)."""
    fusion: Fusion = "mean"
    """How the branches are joined: mean, one free weight a branch, or one a branch and channel."""
    negative_slope: float = option(0.01, activation="leaky_relu")
    """Slope of leaky_relu below zero."""
    alpha: float = option(1.0, above(0), activation=("elu", "celu"))
    """Scale of elu and celu below zero."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.gate == "softmax_batch" and config.recipe != "published":
            return (
                "gate=softmax_batch: a sample's output would depend on the others of its batch; it needs"
                " recipe=published (gate=softmax_map or softmax_branch are the meaningful forms)"
            )
        return super().conflict(config)


class TripletOptions(PlaneGateOptions):
    """Triplet attention: gates over (C,W), (H,C) and (H,W), averaged (Misra et al., WACV 2021)."""

    name = "triplet"
    builds = "exp.blocks.triplet:Triplet"
    spatial: bool = True
    """Whether the un-rotated (H,W) branch takes part; without it two branches are fused (the official no_spatial)."""
    zero_gamma: bool = option(True, spatial=True)
    """Whether the (H,W) branch's batch norm starts at zero, so that the branch starts as a constant gate, as the
    official ResNet initialisation does."""


class TripletCAOptions(PlaneGateOptions):
    """Triplet attention whose (H,W) branch is coordinate attention (notebook 004)."""

    name = "tripletca"
    builds = "exp.blocks.triplet_ca:TripletCA"
    reduction: int = option(16, at_least(1), axes=Includes("hw"))
    """Channel reduction inside the coordinate branch, whose bottleneck has 8 channels or more, on plane hw."""
    axes: str = option("hw", joined("hw", "cw", "ch"))
    """Planes that the coordinate branch attends, joined by +: hw (the source's), cw, ch; the products are averaged."""
    pools: str = option("avg", joined(*STATISTICS))
    """Statistics along each axis of the coordinate branch, joined by +: avg (the source's), max, median, l1, l2."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.gate == "softmax_branch" and "+" in self.axes:
            return (
                f"att.axes={self.axes}: gate=softmax_branch weighs the logits of one plane; give one, or another gate"
            )
        return super().conflict(config)


class TripletLKAOptions(PlaneGateOptions):
    """Triplet attention whose (H,W) branch is large-kernel attention (notebook 004)."""

    name = "tripletlka"
    builds = "exp.blocks.triplet_lka:TripletLKA"
    lka_kernel: LargeKernel = 21
    """Nominal side of the large kernel."""


class CoordinateAttentionOptions(BlockOptions):
    """Coordinate attention: two 1-D gates, along height and width (Hou et al., CVPR 2021)."""

    name = "ca"
    builds = "exp.blocks.coordinate:CoordinateAttention"
    reduction: int = option(32, at_least(1), axes=Includes("hw"))
    """Channel reduction of the shared bottleneck on plane hw, the only one that reads it."""
    min_channels: int = option(8, at_least(1))
    """Fewest channels of the bottleneck on plane hw; all of them on the others."""
    activation: Literal["hard_swish", "relu", "silu", "gelu", "leaky_relu", "elu", "celu", "none"] = "hard_swish"
    """Non-linearity of the bottleneck."""
    gate: Gate = "sigmoid"
    """Last non-linearity of both gates."""
    bias: bool = True
    """Bias of the 1x1 convolutions."""
    axes: str = option("hw", joined("hw", "cw", "ch"))
    """Planes that are attended, joined by +: hw (official), cw, ch; several planes' gates are averaged."""
    pools: str = option("avg", joined(*STATISTICS))
    """Statistics along each axis, joined by +: avg, max, median, l1, l2 (norms, not means)."""


class LKAOptions(BlockOptions):
    """Large-kernel attention: depthwise, dilated depthwise and 1x1 convolution, multiplied on (Guo et al., 2022)."""

    name = "lka"
    builds = "exp.blocks.lka:LKA"
    kernel_size: LargeKernel = 21
    """Nominal side of the large kernel; the true fields are 9, 17, 23, 31 and 57."""
    activation: DepthwiseActivation = "none"
    """Non-linearity after each depthwise step."""
    norm: Literal["none", "batch"] = "none"
    """Norm after each convolution."""
    gate: Literal["none", Gate] = "none"
    """Non-linearity of the map."""
    join: Literal["product", "sum"] = "product"
    """How the map meets the features."""


class InnerLargeKernelOptions(Options):
    """What the Visual Attention Network's attention has, as a block and as the network's own.

    ``VANAttention(channels, **options.van_attention())`` builds it from the options of a network.
    """

    unit: Literal["lka", "replk"] = "lka"
    """What stands between the two 1x1: large-kernel attention, or RepLKNet's block, a depthwise 31x31 with a skip."""
    kernel_size: LargeKernel = option(21, unit="lka")
    """Nominal side of the large kernel; the true fields are 9, 17, 23, 31 and 57."""
    norm: Literal["none", "batch"] = option("none", unit="lka")
    """Norm after each convolution of the large kernel."""
    gate: Literal["none", Gate] = option("none", unit="lka")
    """Non-linearity of the large kernel's map."""
    join: Literal["product", "sum"] = option("product", unit="lka")
    """How the map meets the features."""
    lka_activation: DepthwiseActivation = option("none", unit="lka")
    """Non-linearity after each depthwise step of the large kernel."""
    branches: str | None = option(None, joined(*LKA_BRANCHES), unit="lka")
    """Several large-kernel attentions beside each other, whose maps the last 1x1 joins: sides of their dilated
    convolutions, joined by +: 3, 5, 7, 9, 11; one with the kernel's own where not given."""

    def van_attention(self) -> dict[str, Any]:
        """Returns the options of this class by name, to be handed on to ``VANAttention``."""
        return {name: getattr(self, name) for name in fields(InnerLargeKernelOptions)}

    def lka(self) -> dict[str, Any]:
        """Returns the options of its large-kernel attention by name, see ``LKAOptions``."""
        names = ("kernel_size", "norm", "gate", "join")
        return {name: getattr(self, name) for name in names} | {"activation": self.lka_activation}


class VANAttentionOptions(InnerLargeKernelOptions, BlockOptions):
    """Attention of the Visual Attention Network: 1x1, GELU, large-kernel attention, 1x1, plus the input."""

    name = "van"
    builds = "exp.blocks.van_attention:VANAttention"
    activation: Literal["gelu", "relu", "silu", "none"] = "gelu"
    """Non-linearity after the first 1x1."""
    skip: bool = True
    """Whether the input is added at the end."""


class BAMOptions(BlockOptions):
    """Bottleneck attention between two stages: one plus a gate of a channel and a spatial half (Park et al., 2018)."""

    name = "bam"
    builds = "exp.blocks.bam:BAM"
    placement: Placement = "between_stages"
    """Where in the backbone the block is put; the paper's place is after each stage but the last."""
    reduction: int = option(16, at_least(1))
    """Channel reduction of both halves, to at least one channel."""
    dilation: int = option(4, at_least(1))
    """Dilation of the spatial half's 3x3 convolutions."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""
    join: Literal["product", "sum"] = "product"
    """How the halves meet: product as in the authors' code, sum as in the paper."""


class CBAMOptions(BlockOptions):
    """Convolutional block attention: a channel gate, then a spatial one (Woo et al., ECCV 2018)."""

    name = "cbam"
    builds = "exp.blocks.cbam:CBAM"
    reduction: int = option(16, at_least(1))
    """Channel reduction of the shared MLP, to at least one hidden channel."""
    pool: str = option("avg+max", joined(*GLOBAL_STATISTICS))
    """Global statistics of the channel gate, joined by +: avg, max, lp (2-norm), lse (log of the sum of exp)."""
    kernel_size: int = option(7, odd, spatial=True)
    """Side of the spatial gate's convolution, odd."""
    gate: Gate = "sigmoid"
    """Last non-linearity of both gates."""
    bias: bool = True
    """Bias of the MLP (timm's CBAM has none)."""
    spatial: bool = True
    """Whether the spatial gate takes part."""
    zero_gamma: bool = option(True, spatial=True)
    """Whether the spatial gate's batch norm starts at zero, as in the official initialisation."""


class Step2Options(BlockOptions):
    """CBAM with routers by sample, temperatures and coordinates (notebook 003), as published by default."""

    name = "step2"
    builds = "exp.blocks.step2:Step2"
    reduction: int = option(16, at_least(1))
    """Channel reduction of the channel gate's MLP."""
    min_hidden: int = option(4, at_least(1))
    """Fewest hidden channels of the MLP."""
    activation: Literal["relu", "silu"] = "relu"
    """Non-linearity of the MLP."""
    fusion: Literal["softmax", "softmax_scaled", "sum"] = "softmax"
    """Mean and maximum weighed by sample (weights sum to 1, or to 2: the scale of the sum), or summed."""
    fusion_hidden: int = option(16, at_least(1), fusion=("softmax", "softmax_scaled"))
    """Hidden units of the router that weighs them."""
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"
    """Last non-linearity of both gates."""
    temperature: float = option(1.0, above(0))
    """Divides the logits of both gates."""
    learnable_temperature: bool = False
    """Whether each gate learns its temperature, from there."""
    temperature_inverse: Literal["published", "stable"] = option("published", learnable_temperature=True)
    """How a learned temperature is initialised; the published way overflows from 89 on and freezes the gate."""
    kernels: str = option("3+7", joined("1", "3", "5", "7", "9", "11", "13", "15"))
    """Sizes of the spatial gate's branches, odd, from 1 to 15, joined by +."""
    dilated: bool = True
    """Whether a dilated branch is added."""
    dilated_kernel: int = option(7, odd, dilated=True)
    """Size of the dilated branch, odd."""
    dilation: int = option(2, at_least(1), dilated=True)
    """Its dilation."""
    branch: Literal["separable", "plain", "activated"] = "separable"
    """Depthwise and 1x1, the one convolution which that equals, or with batch norm and ReLU between."""
    coord: Literal["minus1to1", "0to1", "none"] = "minus1to1"
    """Coordinates given to the branches."""
    router_inputs: Literal[4, 2] = option(4, coord=("minus1to1", "0to1"))
    """Whether the router of the branches is given the coordinates (4) or not (2)."""
    router_pool: Literal["mean", "grid", "attend"] = "mean"
    """What the router pools with; a mean (published) cannot see position, a coarse grid and attended positions can."""
    router_hidden: int = option(8, at_least(1))
    """Hidden units of the router."""
    residual: bool = True
    """Whether the output is x + alpha (y - x) instead of y."""
    residual_alpha: float = option(1.0, residual=True)
    """alpha; fixed at 1, as published, it makes the residual do nothing."""
    learnable_alpha: bool = option(False, residual=True)
    """Whether alpha is learned, from there."""


class SqueezeExciteOptions(BlockOptions):
    """Squeeze and excitation: one gate a channel (Hu et al., CVPR 2018; timm's form)."""

    name = "se"
    builds = "exp.blocks.squeeze_excite:SqueezeExcite"
    reduction: int = option(16, at_least(1))
    """Channel reduction of the bottleneck, to a multiple of 8 channels, at least 8."""
    activation: Literal["relu", "silu", "gelu", "leaky_relu", "elu", "celu", "hard_swish"] = "relu"
    """Non-linearity of the bottleneck."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""
    bias: bool = True
    """Bias of the 1x1 convolutions."""


class ECAOptions(BlockOptions):
    """Efficient channel attention: a 1-D convolution over the channel means (Wang et al., CVPR 2020)."""

    name = "eca"
    builds = "exp.blocks.eca:ECA"
    kernel_size: int = option(0, lambda k: None if k == 0 else odd(k))
    """Length of the 1-D convolution, odd; 0 takes the paper's size for the channel count."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""


class CustomOptions(BlockOptions):
    """Your own torch module, named on the command line with att.target=package.module:Class."""

    name = "custom"
    builds = "exp.blocks.custom:Custom"
    target: str | None = option(None, typed=True)
    """package.module:Class, built as Class(channels, ...); it has to keep the shape of (B, C, H, W)."""
    options: Any = option(None, keywords)
    """Its keyword arguments, such as {reduction: 8}."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None.

        Raises:
            ConfigError: The target cannot be found.
        """
        custom_source(self.target)
        return super().conflict(config)

"""Attention blocks: the options of each, with the official form as the default."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from exp.config.options import Includes, at_least, joined, odd, option

STATISTICS = ("avg", "max", "median", "l1", "l2")
LKA_BRANCHES = ("3", "5", "7", "9", "11")

Gate = Literal["sigmoid", "tanh", "hard_sigmoid"]
Placement = Literal["branch_end", "branch_mid", "block_start", "block_end", "stage_end", "between_stages"]


@dataclass(kw_only=True)
class Att:
    """What every attention block has: a place in the backbone."""

    placement: Placement = "branch_end"
    """Where the block stands: end or middle of the residual branch, before it, after the addition, after each stage,
    after each stage but the last."""
    record: bool = option(False, identity=False)
    """Write what gates and routers do to metrics.jsonl, and draw maps and Grad-CAM (attention.png)."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand: hooks on a compiled model, which may not run."""
        if config["att"].get("record") and config["trainer"]["compile"]:
            return "att.record=true: a compiled model cannot be watched; leave trainer.compile out"
        return None


@dataclass(kw_only=True)
class NoAttention:
    """No attention: the plain backbone."""

    name: ClassVar[str] = "none"


@dataclass(kw_only=True)
class _TripletOptions(Att):
    pool: str = option("max+avg", joined(*STATISTICS))
    """Statistics along the compressed axis, in order, joined by +: avg, max, median, l1, l2."""
    activation: Literal["none", "sigmoid", "tanh", "relu", "gelu", "leaky_relu", "elu", "celu"] = "none"
    """Non-linearity between batch norm and gate (the official form has none)."""
    gate: Literal["sigmoid", "tanh", "softmax_map", "softmax_branch", "softmax_batch"] = "sigmoid"
    """Last non-linearity; softmax_batch is the source's flaw and needs recipe=published."""
    kernel_size: int = option(7, odd)
    """Side of the gate's convolution, odd."""
    bias: bool = False
    """Bias of the gate's convolution (redundant before batch norm; the source has it)."""
    fusion: Literal["mean", "linear", "conv"] = "mean"
    """How the branches are joined: mean, one free weight a branch, or one a branch and channel."""
    negative_slope: float = option(0.01, activation="leaky_relu")
    """Slope of leaky_relu below zero."""
    alpha: float = option(1.0, activation=("elu", "celu"))
    """Scale of elu and celu below zero."""


@dataclass(kw_only=True)
class Triplet(_TripletOptions):
    """Triplet attention: gates over (C,W), (H,C) and (H,W), averaged (Misra et al., WACV 2021)."""

    name: ClassVar[str] = "triplet"
    spatial: bool = True
    """Whether the un-rotated (H,W) branch takes part."""
    zero_gamma: bool = option(True, spatial=True)
    """Whether the (H,W) branch's batch norm starts at zero, as the official ResNet initialisation does."""


@dataclass(kw_only=True)
class TripletCA(_TripletOptions):
    """Triplet attention whose (H,W) branch is coordinate attention (notebook 004)."""

    name: ClassVar[str] = "tripletca"
    reduction: int = option(16, at_least(1))
    """Channel reduction inside the coordinate branch."""


@dataclass(kw_only=True)
class TripletLKA(_TripletOptions):
    """Triplet attention whose (H,W) branch is large-kernel attention (notebook 004)."""

    name: ClassVar[str] = "tripletlka"
    lka_kernel: Literal[7, 14, 21, 28] = 21
    """Nominal side of the large kernel."""


@dataclass(kw_only=True)
class CoordinateAttention(Att):
    """Coordinate attention: two 1-D gates, along height and width (Hou et al., CVPR 2021)."""

    name: ClassVar[str] = "ca"
    reduction: int = option(32, at_least(1), axes=Includes("hw"))
    """Channel reduction of the shared bottleneck."""
    min_channels: int = option(8, at_least(1))
    """Fewest channels of the bottleneck."""
    activation: Literal["hard_swish", "relu", "silu", "gelu", "leaky_relu", "elu", "celu", "none"] = "hard_swish"
    """Non-linearity of the bottleneck."""
    gate: Gate = "sigmoid"
    """Last non-linearity of both gates."""
    bias: bool = True
    """Bias of the 1x1 convolutions."""
    axes: str = option("hw", joined("hw", "cw", "ch"))
    """Planes that are attended, joined by +: hw, cw, ch."""
    pools: str = option("avg", joined(*STATISTICS))
    """1-D statistics, joined by +: avg, max, median, l1, l2."""


@dataclass(kw_only=True)
class LKA(Att):
    """Large-kernel attention: depthwise, dilated depthwise and 1x1 convolution, multiplied on (Guo et al., 2022)."""

    name: ClassVar[str] = "lka"
    kernel_size: Literal[7, 14, 21, 28] = 21
    """Nominal side of the large kernel; the true fields are 9, 17, 23 and 31."""
    form: Literal["decomposed", "dense"] = "decomposed"
    """A small and a dilated depthwise convolution in turn, or one over the whole field beside a small one."""
    branches: str | None = option(None, joined(*LKA_BRANCHES), form="decomposed")
    """Sizes of parallel first depthwise convolutions, joined by +: 3, 5, 7, 9, 11; the kernel's own where not given."""
    activation: Literal["none", "relu", "gelu", "silu"] = "none"
    """Non-linearity after each depthwise step."""
    norm: Literal["none", "batch"] = "none"
    """Norm after each depthwise step."""
    gate: Literal["none", "sigmoid", "tanh", "hard_sigmoid"] = "none"
    """Non-linearity of the attention map."""
    join: Literal["product", "sum"] = "product"
    """How the map meets the features."""


@dataclass(kw_only=True)
class VANAttention(Att):
    """Attention of the Visual Attention Network: 1x1, GELU, large-kernel attention, 1x1, plus the input."""

    name: ClassVar[str] = "van"
    kernel_size: Literal[7, 14, 21, 28] = 21
    """Nominal side of the large kernel; the true fields are 9, 17, 23 and 31."""
    form: Literal["decomposed", "dense"] = "decomposed"
    """A small and a dilated depthwise convolution in turn, or one over the whole field beside a small one."""
    branches: str | None = option(None, joined(*LKA_BRANCHES), form="decomposed")
    """Sizes of parallel first depthwise convolutions, joined by +: 3, 5, 7, 9, 11; the kernel's own where not given."""
    activation: Literal["gelu", "relu", "silu", "none"] = "gelu"
    """Non-linearity after the first 1x1."""
    lka_activation: Literal["none", "relu", "gelu", "silu"] = "none"
    """Non-linearity after each depthwise step."""
    norm: Literal["none", "batch"] = "none"
    """Norm after each depthwise step."""
    gate: Literal["none", "sigmoid", "tanh", "hard_sigmoid"] = "none"
    """Non-linearity of the attention map."""
    join: Literal["product", "sum"] = "product"
    """How the map meets the features."""
    skip: bool = True
    """Whether the input is added at the end."""


@dataclass(kw_only=True)
class BAM(Att):
    """Bottleneck attention between two stages: one plus a gate of a channel and a spatial half (Park et al., 2018)."""

    name: ClassVar[str] = "bam"
    placement: Placement = "between_stages"
    """Where the block stands; the paper's place is after each stage but the last."""
    reduction: int = option(16, at_least(1))
    """Channel reduction of both halves."""
    dilation: int = option(4, at_least(1))
    """Dilation of the spatial half's 3x3 convolutions."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""
    join: Literal["product", "sum"] = "product"
    """How the halves meet: product as in the authors' code, sum as in the paper."""


@dataclass(kw_only=True)
class CBAM(Att):
    """Convolutional block attention: a channel gate, then a spatial one (Woo et al., ECCV 2018)."""

    name: ClassVar[str] = "cbam"
    reduction: int = option(16, at_least(1))
    """Channel reduction of the shared MLP."""
    pool: str = option("avg+max", joined("avg", "max", "lp", "lse"))
    """Global statistics of the channel gate, joined by +: avg, max, lp, lse."""
    kernel_size: int = option(7, odd, spatial=True)
    """Side of the spatial gate's convolution, odd."""
    gate: Gate = "sigmoid"
    """Last non-linearity of both gates."""
    bias: bool = True
    """Bias of the MLP."""
    spatial: bool = True
    """Whether the spatial gate takes part."""
    zero_gamma: bool = option(True, spatial=True)
    """Whether the spatial gate's batch norm starts at zero, as in the official initialisation."""


@dataclass(kw_only=True)
class Step2(Att):
    """CBAM with routers by sample, temperatures and coordinates (notebook 003), as published by default."""

    name: ClassVar[str] = "step2"
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
    temperature: float = option(1.0, lambda value: None if value > 0 else "above 0")
    """Divides the logits of both gates."""
    learnable_temperature: bool = False
    """Whether each gate learns its temperature, from there."""
    temperature_inverse: Literal["published", "stable"] = option("published", learnable_temperature=True)
    """How a learned temperature is initialised; the published way overflows from 89 on and freezes the gate."""
    kernels: str = option("3+7", joined("1", "3", "5", "7", "9", "11", "13", "15"))
    """Sizes of the spatial gate's branches, odd, joined by +."""
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


@dataclass(kw_only=True)
class SqueezeExcite(Att):
    """Squeeze and excitation: one gate a channel (Hu et al., CVPR 2018; timm's form)."""

    name: ClassVar[str] = "se"
    reduction: int = option(16, at_least(1))
    """Channel reduction of the bottleneck."""
    activation: Literal["relu", "silu", "gelu", "leaky_relu", "elu", "celu", "hard_swish"] = "relu"
    """Non-linearity of the bottleneck."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""
    bias: bool = True
    """Bias of the 1x1 convolutions."""


@dataclass(kw_only=True)
class ECA(Att):
    """Efficient channel attention: a 1-D convolution over the channel means (Wang et al., CVPR 2020)."""

    name: ClassVar[str] = "eca"
    kernel_size: int = option(0, lambda k: None if k == 0 else odd(k))
    """Length of the 1-D convolution, odd; 0 takes the paper's size for the channel count."""
    gate: Gate = "sigmoid"
    """Last non-linearity."""


def _keywords(value: Any) -> str | None:
    named = isinstance(value, dict) and all(isinstance(key, str) and key.isidentifier() for key in value)
    return None if named else "options by name, such as {reduction: 8}"


@dataclass(kw_only=True)
class Custom(Att):
    """Your own torch module, named on the command line with att.target=package.module:Class."""

    name: ClassVar[str] = "custom"
    target: str | None = None
    """package.module:Class, built as Class(channels, ...); it has to keep the shape of (B, C, H, W)."""
    options: Any = option(None, _keywords)
    """Its keyword arguments, such as {reduction: 8}."""


BLOCKS = (
    NoAttention,
    Triplet,
    TripletCA,
    TripletLKA,
    CoordinateAttention,
    LKA,
    VANAttention,
    CBAM,
    BAM,
    Step2,
    SqueezeExcite,
    ECA,
    Custom,
)

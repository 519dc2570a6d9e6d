"""Attention blocks: the options of each, with the official form as the default."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.options import Includes, at_least, joined, odd, option

STATISTICS = ("avg", "max", "median", "l1", "l2")

Gate = Literal["sigmoid", "tanh", "hard_sigmoid"]


@dataclass(kw_only=True)
class Att:
    """What every attention block has: a place in the backbone."""

    placement: Literal["branch_end", "branch_mid", "block_start", "block_end", "stage_end"] = "branch_end"
    """Where the block stands: end or middle of the residual branch, before it, after the addition, after each stage."""


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
    """Nominal side of the large kernel."""


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


BLOCKS = (NoAttention, Triplet, TripletCA, TripletLKA, CoordinateAttention, LKA, CBAM, SqueezeExcite, ECA)

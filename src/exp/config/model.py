"""Backbones: the options of each."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.options import at_least, option


@dataclass(kw_only=True)
class _ResNet:
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """3x3 stride 1 or 7x7 stride 2 with max-pooling; auto takes cifar below 96 pixels."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""
    zero_init_residual: bool = False
    """Whether the last batch norm of each residual branch starts at zero."""


@dataclass(kw_only=True)
class ResNet18(_ResNet):
    """ResNet-18 (He et al., CVPR 2016)."""

    name: ClassVar[str] = "resnet18"


@dataclass(kw_only=True)
class ResNet34(_ResNet):
    """ResNet-34 (He et al., CVPR 2016)."""

    name: ClassVar[str] = "resnet34"


@dataclass(kw_only=True)
class ResNet50(_ResNet):
    """ResNet-50 (He et al., CVPR 2016)."""

    name: ClassVar[str] = "resnet50"


@dataclass(kw_only=True)
class ResNet101(_ResNet):
    """ResNet-101 (He et al., CVPR 2016)."""

    name: ClassVar[str] = "resnet101"


SCHEMAS = (ResNet18, ResNet34, ResNet50, ResNet101)

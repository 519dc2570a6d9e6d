"""The attention task: image classification, its backbones and data sets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.data import Batching, Published
from exp.config.options import at_least, fraction, option
from exp.config.tasks import Task


@dataclass(kw_only=True)
class Attention(Task):
    """Image classification with attention blocks: the ablations of notebook 004."""

    name: ClassVar[str] = "attention"
    monitor: ClassVar[str] = "top1"
    mode: ClassVar[Literal["max", "min"]] = "max"

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    head_classes: int | None = None
    """Outputs of the classifier; the data set's classes where not given (notebook 004 has 1000 for 100)."""


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


@dataclass(kw_only=True)
class Digits(Batching):
    """scikit-learn's 1,797 scanned digits, embedded: 8x8 grey, 10 classes."""

    name: ClassVar[str] = "digits"
    size: int = option(8, at_least(8))
    """Side in pixels after resizing, at least 8."""
    val_fraction: float = option(0.15, fraction)
    """Part of the training images held out for validation."""


@dataclass(kw_only=True)
class Cifar10(Published):
    """CIFAR-10 in the publisher's python pickles: 60,000 colour images of 32x32, 10 classes."""

    name: ClassVar[str] = "cifar10"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""


@dataclass(kw_only=True)
class Cifar100(Published):
    """CIFAR-100 in the publisher's python pickles: 60,000 colour images of 32x32, 100 classes."""

    name: ClassVar[str] = "cifar100"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""
    labels: Literal["fine", "coarse"] = "fine"
    """100 fine or 20 coarse classes."""


@dataclass(kw_only=True)
class ImageFolder(Published):
    """Your own images: train/CLASS/*.jpg and val/CLASS/*.jpg, with test/CLASS/*.jpg where there is one."""

    name: ClassVar[str] = "imagefolder"
    size: int = option(224, at_least(8))
    """Side in pixels: the shorter side is resized to it, the centre cropped."""
    num_classes: int | None = None
    """Number of classes; counted from the folders where not given."""
    val_fraction: float | None = option(None, fraction)
    """Part of the training images held out where there is no test folder (0.1 if not given)."""


TASKS = (Attention,)
MODELS = (ResNet18, ResNet34, ResNet50, ResNet101)
DATA = (Digits, Cifar10, Cifar100, ImageFolder)

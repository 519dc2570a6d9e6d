"""Data sets: where they lie, how they are split and how a batch is made of them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.options import at_least, fraction, option, probability


@dataclass(kw_only=True)
class Batching:
    """How images become a batch; every other option of a data set goes to its reader."""

    batch_size: int = option(128, at_least(1))
    """Images an optimizer step, over all devices and accumulated micro-batches."""
    crop: int = option(0, at_least(0))
    """Random crop after padding by this many pixels, in training."""
    flip: float = option(0.0, probability)
    """Probability of a horizontal flip, in training."""
    rotate: float = option(0.0, at_least(0))
    """Largest random rotation in degrees, in training."""
    erase: float = option(0.0, probability)
    """Probability of erasing a random rectangle, in training."""
    eval_flip: float = option(0.0, probability)
    """Probability of a random flip in validation and test (the flaw of notebook 004)."""
    mean: float | list[float] = 0.5
    """Subtracted from images in 0..1, one number or one a channel."""
    std: float | list[float] = 0.5
    """Divides images after the mean is taken off."""


@dataclass(kw_only=True)
class _Published(Batching):
    root: str | None = option(None, identity=False)
    """Folder in which the publisher's files lie; the environment's EXP_DATA where not given."""


@dataclass(kw_only=True)
class Digits(Batching):
    """scikit-learn's 1,797 scanned digits, embedded: 8x8 grey, 10 classes."""

    name: ClassVar[str] = "digits"
    size: int = option(8, at_least(8))
    """Side in pixels after resizing, at least 8."""
    val_fraction: float = option(0.15, fraction)
    """Part of the training images held out for validation."""


@dataclass(kw_only=True)
class Cifar10(_Published):
    """CIFAR-10 in the publisher's python pickles: 60,000 colour images of 32x32, 10 classes."""

    name: ClassVar[str] = "cifar10"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""


@dataclass(kw_only=True)
class Cifar100(_Published):
    """CIFAR-100 in the publisher's python pickles: 60,000 colour images of 32x32, 100 classes."""

    name: ClassVar[str] = "cifar100"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""
    labels: Literal["fine", "coarse"] = "fine"
    """100 fine or 20 coarse classes."""


@dataclass(kw_only=True)
class ImageFolder(_Published):
    """Your own images: train/CLASS/*.jpg and val/CLASS/*.jpg, with test/CLASS/*.jpg where there is one."""

    name: ClassVar[str] = "imagefolder"
    size: int = option(224, at_least(8))
    """Side in pixels: the shorter side is resized to it, the centre cropped."""
    num_classes: int | None = None
    """Number of classes; counted from the folders where not given."""
    val_fraction: float | None = option(None, fraction)
    """Part of the training images held out where there is no test folder (0.1 if not given)."""


SCHEMAS = (Digits, Cifar10, Cifar100, ImageFolder)

"""What image data sets have in common: how a batch is made, where the files lie."""

from dataclasses import dataclass

from exp.config.options import at_least, option, probability


def magnitude(value: float) -> str | None:
    """Checks RandAugment's scale."""
    return None if 0 <= value <= 10 else "between 0 and 10"


@dataclass(kw_only=True)
class Batching:
    """How images become a batch; every other option of a data set goes to its reader."""

    batch_size: int = option(128, at_least(1))
    """Images an optimizer step, over all devices and accumulated micro-batches."""
    crop: int = option(0, at_least(0))
    """Random crop after padding by this many pixels, in training."""
    resized_crop: float = option(0.0, probability)
    """Smallest share of the area of a random window that is scaled to the image's size, in training; 0 for none."""
    flip: float = option(0.0, probability)
    """Probability of a horizontal flip, in training."""
    rotate: float = option(0.0, at_least(0))
    """Largest random rotation in degrees, in training."""
    jitter: float = option(0.0, probability)
    """Largest random change of brightness, contrast and saturation, in training."""
    rand_augment: float = option(0.0, magnitude)
    """Magnitude of RandAugment's two random changes, 0 to 10, in training; 0 for none."""
    erase: float = option(0.0, probability)
    """Probability of erasing a random rectangle, in training."""
    eval_flip: float = option(0.0, probability)
    """Probability of a random flip in validation and test (the flaw of notebook 004)."""
    mean: float | list[float] = 0.5
    """Subtracted from images in 0..1, one number or one a channel."""
    std: float | list[float] = 0.5
    """Divides images after the mean is taken off."""


@dataclass(kw_only=True)
class Published(Batching):
    """A set that lies on the user's disk."""

    root: str | None = option(None, identity=False)
    """Folder in which the publisher's files lie; the environment's EXP_DATA where not given."""

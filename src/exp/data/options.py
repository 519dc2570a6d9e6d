"""Options that image data sets have in common: how a batch is made, where the files are."""

from typing import TYPE_CHECKING

from exp.options.checks import above, at_least, each, finite, probability
from exp.options.fields import option
from exp.options.parts import DataOptions

if TYPE_CHECKING:
    from exp.options.config import Config


def magnitude(value: float) -> str | None:
    """Checks RandAugment's scale."""
    return None if 0 <= value <= 10 else "between 0 and 10"


def half_turn(value: float) -> str | None:
    """Checks an angle in degrees that is taken either way."""
    return None if 0 <= value <= 180 else "between 0 and 180"


def not_a_channel_each(options: "ImageOptions") -> str | None:
    """Returns why lists of means and deviations do not fit the images, or None."""
    for name in ("mean", "std"):
        value = getattr(options, name)
        if isinstance(value, list) and len(value) > 1:
            channels = options.reader().shape[0]
            if len(value) != channels:
                return f"data.{name}={value}: {len(value)} numbers, but the images have {channels} channels"
    return None


class ImageOptions(DataOptions):
    """How images become a batch, see ``exp.data.augment``; every other option of a data set is its reader's."""

    kind = "images"

    batch_size: int = option(128, at_least(1))
    """Images an optimizer step, over all devices and accumulated micro-batches."""
    crop: int = option(0, at_least(0))
    """Random crop after padding by this many pixels, in training."""
    resized_crop: float = option(0.0, probability)
    """Smallest share of the area of a random window that is scaled to the image's size, in training; 0 for none."""
    flip: float = option(0.0, probability)
    """Probability of a horizontal flip, in training."""
    rotate: float = option(0.0, half_turn)
    """Largest random rotation in degrees, in training."""
    jitter: float = option(0.0, probability)
    """Largest random change of brightness, contrast and saturation, in training."""
    rand_augment: float = option(0.0, magnitude)
    """Magnitude of RandAugment's two random changes, 0 to 10, in training; 0 for none."""
    erase: float = option(0.0, probability)
    """Probability of erasing a random rectangle, in training."""
    eval_flip: float = option(0.0, probability)
    """Probability of a random flip in validation and test (the flaw of notebook 004)."""
    mean: float | list[float] = option(0.5, each(finite))
    """Subtracted from images in 0..1, one number or one a channel."""
    std: float | list[float] = option(0.5, each(above(0)))
    """Divides images after the mean is taken off."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        complaint = super().conflict(config)
        if complaint:
            return complaint
        if self.batch_size // config.trainer.accumulate == 1 and getattr(config.model, "batch_norm", True):
            accumulated = f" with trainer.accumulate={config.trainer.accumulate}" if self.batch_size > 1 else ""
            return f"data.batch_size={self.batch_size}{accumulated}: batch norm needs two images at a time; raise it"
        return not_a_channel_each(self)

    @property
    def cut_to(self) -> int | None:
        """Side of what is cut out of images that are stored larger; None where they are stored as they are used."""
        return None

    @property
    def decoders(self) -> int | None:
        """Processes that were asked for to decode images beside the training; None leaves their number open."""
        return None


class PublishedImages(ImageOptions):
    """A set in its publisher's files, on the user's disk."""

    root: str | None = option(None, identity=False)
    """Folder with the publisher's files; the environment's EXP_DATA where not given."""

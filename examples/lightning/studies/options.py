"""The tasks: what each is called, which classes it is, by which metric its best epoch is chosen, and its options."""

from typing import Literal

from exp.options.adopted import LightningOptions
from exp.options.checks import at_least
from exp.options.fields import option


class AutoencoderOptions(LightningOptions):
    """Autoencoder of the digits."""

    name = "autoencoder"
    module = "studies.modules:LitAutoencoder"
    datamodule = "studies.modules:DigitsData"
    monitor = "val_loss"
    mode = "min"

    hidden: int = option(16, at_least(1))
    """Units of the code."""
    dropout: float = 0.1
    """Dropout in the encoder."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    batch_size: int = option(64, at_least(1))
    """Images of a step."""


class GanOptions(LightningOptions):
    """A generator and a discriminator of points on a circle, each with its own optimizer."""

    name = "gan"
    module = "studies.modules:LitGan"
    monitor = "val_distance"
    mode = "min"

    noise: int = option(4, at_least(1))
    """Numbers that the generator starts from."""


class ReverseOptions(LightningOptions):
    """A transformer that reverses words."""

    name = "reverse"
    module = "studies.modules:LitReverse"
    datamodule = "studies.modules:WordsData"
    monitor = "val_acc"
    mode = "max"

    width: int = option(32, at_least(4))
    """Width of the model."""
    noise: float = 0.05
    """Share of letters that are replaced in training."""


class TabularOptions(LightningOptions):
    """Regression of diabetes progression; the learning rate falls when the validation no longer improves."""

    name = "tabular"
    module = "studies.modules:LitTabular"
    monitor = "val_rmse"
    mode = "min"

    act: Literal["relu", "tanh"] = "relu"
    """Activation."""


class ShapesOptions(LightningOptions):
    """Segmentation of drawn disks; the images are a stream, which cannot be entered in the middle."""

    name = "shapes"
    module = "studies.modules:LitShapes"
    monitor = "val_iou"
    mode = "max"

    width: int = option(8, at_least(1))
    """Channels of the first convolution."""

"""The attention task: image classification, its backbones and data sets."""

from typing import TYPE_CHECKING, ClassVar, Literal

from exp.blocks.options import InnerLargeKernelOptions
from exp.data.options import ImageOptions, PublishedImages
from exp.layers.options import ImageModelOptions, ResNetOptions
from exp.options.checks import at_least, fraction
from exp.options.errors import ConfigError, DataError
from exp.options.fields import option
from exp.options.parts import TaskOptions

if TYPE_CHECKING:
    from exp.options.config import Config


class AttentionOptions(TaskOptions):
    """Image classification with attention blocks: the ablations of notebook 004."""

    name = "attention"
    builds = "exp.tasks.attention.module:Attention"
    kind = "images"
    monitor = "top1"
    mode = "max"
    reports = ("top1", "top5", "loss")
    printed = dict.fromkeys(
        ("accuracy", "acc", "acc@1", "top-1 acc", "top-1 accuracy", "prec@1"), "top1"
    ) | dict.fromkeys(("acc@5", "top-5 acc", "top-5 accuracy", "prec@5"), "top5")

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    mixup: float = option(0.0, at_least(0))
    """alpha of mixup's Beta distribution; 0 for none."""
    cutmix: float = option(0.0, at_least(0))
    """alpha of CutMix's Beta distribution; 0 for none. With both, each batch takes one of them."""
    head_classes: int | None = option(None, at_least(1))
    """Outputs of the classifier; the data set's classes where not given (notebook 004 has 1000 for 100)."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.head_classes is not None:
            try:
                classes = config.data.reader().num_classes
            except DataError:  # a folder that is not here, whose classes are counted when it is read
                classes = 0
            if self.head_classes < classes:
                return (
                    f"task.head_classes={self.head_classes}: data={config.data.name} has {classes} classes; give at"
                    " least as many"
                )
        return super().conflict(config)


class Res2Net50Options(ResNetOptions):
    """Res2Net-50 (Gao et al., TPAMI 2021)."""

    name = "res2net50"
    builds = "exp.tasks.attention.models.res2net:Res2Net"
    timm = "res2net50_26w_4s"
    depth = 50
    base_width: int = option(26, at_least(1))
    """Channels of a group in the first stage, for a stem of 64."""
    scale: int = option(4, at_least(2))
    """Groups that a bottleneck's 3x3 convolution is cut into."""


class VANOptions(InnerLargeKernelOptions, ImageModelOptions):
    """Visual Attention Network (Guo et al., 2022)."""

    builds = "exp.tasks.attention.models.van:VAN"
    channels: ClassVar[tuple[int, int, int, int]]
    """Channels of the four stages."""
    depths: ClassVar[tuple[int, int, int, int]]
    """Blocks of the four stages."""

    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """3x3 stride 1 or 7x7 stride 4; auto takes cifar below 96 pixels. Under imagenet's, an image of 32 pixels has one
    position left in the last stage, for kernels 23 wide."""
    drop_path: float = option(0.1, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""
    layer_scale: float = option(0.01, at_least(0))
    """Starting value of the learned factor of each channel of each branch; 0 has no such factor."""


class LargeVANOptions(VANOptions):
    """What the larger of the networks have, B3 to B6."""

    drop_path: float = option(0.2, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""


class VANB0Options(VANOptions):
    """Visual Attention Network B0 (Guo et al., 2022)."""

    name = "van_b0"
    channels = (32, 64, 160, 256)
    depths = (3, 3, 5, 2)


class VANB1Options(VANOptions):
    """Visual Attention Network B1 (Guo et al., 2022)."""

    name = "van_b1"
    channels = (64, 128, 320, 512)
    depths = (2, 2, 4, 2)


class VANB2Options(VANOptions):
    """Visual Attention Network B2 (Guo et al., 2022)."""

    name = "van_b2"
    channels = (64, 128, 320, 512)
    depths = (3, 3, 12, 3)


class VANB3Options(LargeVANOptions):
    """Visual Attention Network B3 (Guo et al., 2022)."""

    name = "van_b3"
    channels = (64, 128, 320, 512)
    depths = (3, 5, 27, 3)


class VANB4Options(LargeVANOptions):
    """Visual Attention Network B4 (Guo et al., 2022)."""

    name = "van_b4"
    channels = (64, 128, 320, 512)
    depths = (3, 6, 40, 3)


class VANB5Options(LargeVANOptions):
    """Visual Attention Network B5 (Guo et al., 2022)."""

    name = "van_b5"
    channels = (96, 192, 480, 768)
    depths = (3, 3, 24, 3)


class VANB6Options(LargeVANOptions):
    """Visual Attention Network B6 (Guo et al., 2022)."""

    name = "van_b6"
    channels = (96, 192, 384, 768)
    depths = (6, 6, 90, 6)


class MobileNetV2Options(ImageModelOptions):
    """MobileNetV2 (Sandler et al., CVPR 2018)."""

    name = "mobilenetv2"
    builds = "exp.tasks.attention.models.mobilenetv2:MobileNetV2"
    timm = "mobilenetv2_100"
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """Strides of 32 in all, or with the first two halvings left out, 8; auto takes cifar below 96 pixels."""
    width: float = option(1.0, at_least(0.05))
    """Factor of the channel counts, rounded to multiples of 8; the last convolution's never falls below 1,280."""
    dropout: float = option(0.2, fraction)
    """Dropout before the classifier."""


class DigitsOptions(ImageOptions):
    """scikit-learn's 1,797 scanned digits, embedded: 8x8 grey, 10 classes."""

    name = "digits"
    surrogate = True
    builds = "exp.tasks.attention.data.digits:Digits"
    size: int = option(8, at_least(8))
    """Side in pixels, at least 8; larger images are interpolated bilinearly."""
    val_fraction: float = option(0.15, fraction)
    """Part of the training images held out for validation."""


class WhereOptions(ImageOptions):
    """One texture on noise, whose place is the class; generated, a surrogate that tests coordinates."""

    name = "where"
    builds = "exp.tasks.attention.data.where:Where"
    surrogate = True
    size: int = option(24, at_least(8))
    """Side in pixels, at least 4 a cell."""
    grid: int = option(4, at_least(2))
    """Cells a side; the classes are the cells."""
    train: int = option(1600, at_least(16))
    """Images in the training part."""
    held: int = option(480, at_least(16))
    """Images in the validation part, and as many in the test part."""
    noise: float = option(1.0, at_least(0))
    """Strength of the background, in units of the texture's amplitude."""

    def __post_init__(self) -> None:
        """Checks the options, also against one another.

        Raises:
            ConfigError: Cells are too small, or a part has fewer images than there are classes.
        """
        super().__post_init__()
        if self.size < 4 * self.grid:
            raise ConfigError(f"data=where: size={self.size}: has to be at least 4 pixels a cell, for grid={self.grid}")
        for name, images in (("train", self.train), ("held", self.held)):
            if images < self.grid**2:
                raise ConfigError(f"data=where: {name}={images}: has to be at least one image a class, {self.grid**2}")


class Cifar10Options(PublishedImages):
    """CIFAR-10 in the publisher's python pickles: 60,000 colour images of 32x32, 10 classes."""

    name = "cifar10"
    builds = "exp.tasks.attention.data.cifar:Cifar10"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""


class Cifar100Options(PublishedImages):
    """CIFAR-100 in the publisher's python pickles: 60,000 colour images of 32x32, 100 classes."""

    name = "cifar100"
    builds = "exp.tasks.attention.data.cifar:Cifar100"
    val_fraction: float = option(0.1, fraction)
    """Part of the training images held out for validation."""
    labels: Literal["fine", "coarse"] = "fine"
    """100 fine or 20 coarse classes."""


class ImageFolderOptions(PublishedImages):
    """Your own images: train/CLASS/*.jpg and val/CLASS/*.jpg, with test/CLASS/*.jpg where there is one.

    Without a test folder, the val folder is taken for the test part and a validation part is split from train.
    """

    name = "imagefolder"
    builds = "exp.tasks.attention.data.imagefolder:ImageFolder"
    size: int = option(224, at_least(8))
    """Side in pixels: the shorter side is resized to it, the centre cropped."""
    stored: int | None = None
    """Side in pixels at which images are kept decoded, at least size, the side of the windows and centres that are cut
    from it; size where not given."""
    num_classes: int | None = option(None, at_least(1))
    """Number of classes that there have to be; counted from the folders where not given."""
    val_fraction: float | None = option(None, fraction)
    """Part of the training images held out where there is no test folder (0.1 if not given), 0 for none."""
    decode: Literal["auto", "cache", "workers"] = option("auto", identity=False)
    """Decoded once a machine into a file, or for every batch anew by processes; auto caches up to 32 GB of pixels.
    The pixels are the same."""
    workers: int | None = option(None, at_least(0), identity=False, decode=("auto", "workers"))
    """Processes a device that decode, 0 for the training's own; a GPU's share of the cores, or 1, if not given."""

    def __post_init__(self) -> None:
        """Checks the options, also against one another.

        Raises:
            ConfigError: Images are stored smaller than they are used.
        """
        super().__post_init__()
        if self.stored is not None and self.stored < self.size:
            raise ConfigError(f"data=imagefolder: stored={self.stored}: has to be at least size={self.size}")

    @property
    def cut_to(self) -> int | None:
        """The images' side where they are stored larger."""
        return self.size if self.stored else None

    @property
    def decoders(self) -> int | None:
        """Processes that decode images, where given."""
        return self.workers

"""The attention task: image classification, its backbones and data sets."""

import importlib.util
from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.att import LKA_BRANCHES
from exp.config.data import Batching, Published
from exp.config.options import at_least, fraction, joined, option
from exp.config.tasks import Task


@dataclass(kw_only=True)
class Attention(Task):
    """Image classification with attention blocks: the ablations of notebook 004."""

    name: ClassVar[str] = "attention"
    monitor: ClassVar[str] = "top1"
    mode: ClassVar[Literal["max", "min"]] = "max"

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    mixup: float = option(0.0, at_least(0))
    """alpha of mixup's Beta distribution; 0 for none."""
    cutmix: float = option(0.0, at_least(0))
    """alpha of CutMix's Beta distribution; 0 for none. With both, each batch takes one of them."""
    head_classes: int | None = None
    """Outputs of the classifier; the data set's classes where not given (notebook 004 has 1000 for 100)."""


def _timm(init: str) -> str | None:
    missing = init == "timm" and importlib.util.find_spec("timm") is None
    return "own, since timm is not installed: pip install 'exp-tables[timm]'" if missing else None


@dataclass(kw_only=True)
class _ResNet:
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """3x3 stride 1 or 7x7 stride 2 with max-pooling; auto takes cifar below 96 pixels."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""
    zero_init_residual: bool = False
    """Whether the last batch norm of each residual branch starts at zero."""
    init: Literal["own", "timm"] = option("own", _timm)
    """Starting weights: the model's own initialisation, or timm's pretrained ones (the head only for its classes)."""


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
class Res2Net50(_ResNet):
    """Res2Net-50 (Gao et al., TPAMI 2021)."""

    name: ClassVar[str] = "res2net50"
    base_width: int = option(26, at_least(1))
    """Channels of a group in the first stage, for a stem of 64."""
    scale: int = option(4, at_least(2))
    """Groups that a bottleneck's 3x3 convolution is cut into."""


@dataclass(kw_only=True)
class _VAN:
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """3x3 stride 1 or 7x7 stride 4; auto takes cifar below 96 pixels."""
    drop_path: float = option(0.1, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""
    layer_scale: float = option(0.01, at_least(0))
    """Starting value of the learned factor of each branch; 0 has none."""
    kernel_size: Literal[7, 14, 21, 28] = 21
    """Nominal side of the large kernel; the true fields are 9, 17, 23 and 31."""
    form: Literal["decomposed", "dense"] = "decomposed"
    """A small and a dilated depthwise convolution in turn, or one over the whole field beside a small one."""
    branches: str | None = option(None, joined(*LKA_BRANCHES), form="decomposed")
    """Sizes of parallel first depthwise convolutions, joined by +: 3, 5, 7, 9, 11; the kernel's own where not given."""
    lka_activation: Literal["none", "relu", "gelu", "silu"] = "none"
    """Non-linearity after each depthwise step of the large kernel."""
    norm: Literal["none", "batch"] = "none"
    """Norm after each depthwise step of the large kernel."""
    gate: Literal["none", "sigmoid", "tanh", "hard_sigmoid"] = "none"
    """Non-linearity of the large kernel's map."""
    join: Literal["product", "sum"] = "product"
    """How the map meets the features."""


@dataclass(kw_only=True)
class VANB0(_VAN):
    """Visual Attention Network B0 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b0"


@dataclass(kw_only=True)
class VANB1(_VAN):
    """Visual Attention Network B1 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b1"


@dataclass(kw_only=True)
class VANB2(_VAN):
    """Visual Attention Network B2 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b2"


@dataclass(kw_only=True)
class VANB3(_VAN):
    """Visual Attention Network B3 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b3"
    drop_path: float = option(0.2, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""


@dataclass(kw_only=True)
class VANB4(_VAN):
    """Visual Attention Network B4 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b4"
    drop_path: float = option(0.2, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""


@dataclass(kw_only=True)
class VANB5(_VAN):
    """Visual Attention Network B5 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b5"
    drop_path: float = option(0.2, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""


@dataclass(kw_only=True)
class VANB6(_VAN):
    """Visual Attention Network B6 (Guo et al., 2022)."""

    name: ClassVar[str] = "van_b6"
    drop_path: float = option(0.2, fraction)
    """Chance to drop a residual branch in the last block, growing linearly from 0."""


@dataclass(kw_only=True)
class MobileNetV2:
    """MobileNetV2 (Sandler et al., CVPR 2018)."""

    name: ClassVar[str] = "mobilenetv2"
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """The stock strides, or the first two halvings left out; auto takes cifar below 96 pixels."""
    width: float = option(1.0, at_least(0.05))
    """Factor of the channel counts."""
    dropout: float = option(0.2, fraction)
    """Dropout of the head."""
    init: Literal["own", "timm"] = option("own", _timm)
    """Starting weights: the model's own initialisation, or timm's pretrained ones (the head only for its classes)."""


@dataclass(kw_only=True)
class Digits(Batching):
    """scikit-learn's 1,797 scanned digits, embedded: 8x8 grey, 10 classes."""

    name: ClassVar[str] = "digits"
    size: int = option(8, at_least(8))
    """Side in pixels after resizing, at least 8."""
    val_fraction: float = option(0.15, fraction)
    """Part of the training images held out for validation."""


@dataclass(kw_only=True)
class Where(Batching):
    """One texture on noise, the class is the place it stands at; embedded, a surrogate that tests coordinates."""

    name: ClassVar[str] = "where"
    surrogate: ClassVar[bool] = True
    size: int = option(24, at_least(8))
    """Side in pixels, at least 4 a cell."""
    grid: int = option(4, at_least(2))
    """Cells a side; the classes are the cells."""
    train: int = option(1600, at_least(16))
    """Images in the training part."""
    held: int = option(480, at_least(16))
    """Images in the validation part, and as many in the test part."""
    noise: float = option(1.0, at_least(0))
    """Strength of the background."""


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
    stored: int | None = None
    """Side in pixels at which images are stored decoded, at least size, which is cut from it; size if not given."""
    num_classes: int | None = None
    """Number of classes; counted from the folders where not given."""
    val_fraction: float | None = option(None, fraction)
    """Part of the training images held out where there is no test folder (0.1 if not given)."""
    decode: Literal["auto", "cache", "workers"] = option("auto", identity=False)
    """Decoded once a machine into a file, or for every batch anew by processes; auto caches up to 32 GB of pixels."""
    workers: int | None = option(None, at_least(0), identity=False, decode=("auto", "workers"))
    """Processes a device that decode, 0 for the training's own; a GPU's share of the cores, or 1, if not given."""


TASKS = (Attention,)
MODELS = (
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    Res2Net50,
    MobileNetV2,
    VANB0,
    VANB1,
    VANB2,
    VANB3,
    VANB4,
    VANB5,
    VANB6,
)
DATA = (Digits, Where, Cifar10, Cifar100, ImageFolder)

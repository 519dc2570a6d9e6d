"""Options of the networks that several tasks share."""

from typing import TYPE_CHECKING, ClassVar, Literal

from typing_extensions import Self

from exp.options.checks import at_least
from exp.options.fields import option
from exp.options.parts import ModelOptions

if TYPE_CHECKING:
    from exp.options.config import Config

CIFAR_STEM_BELOW = 96
"""Images with a side smaller than this get the stem for small images where the stem is left open."""


class ImageModelOptions(ModelOptions):
    """What every network of images has.

    It is built as ``Network(options, num_classes=, in_channels=, image_size=, att=, placement=)``.
    """

    kind = "images"

    def settled(self, config: "Config") -> Self:
        """Returns these options with the stem decided by the size of the data set's images."""
        if getattr(self, "stem", None) != "auto":
            return self
        _, height, width = config.data.reader().shape
        return self.replaced(stem="cifar" if min(height, width) < CIFAR_STEM_BELOW else "imagenet")


class ResNetOptions(ImageModelOptions):
    """ResNet (He et al., CVPR 2016)."""

    builds = "exp.layers.resnet:ResNet"
    depth: ClassVar[int]
    """Number of layers with weights."""

    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """3x3 stride 1 or 7x7 stride 2 with max-pooling; auto takes cifar below 96 pixels."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""
    zero_init_residual: bool = False
    """Whether the last batch norm of each residual branch starts at zero."""


class ResNet18Options(ResNetOptions):
    """ResNet-18 (He et al., CVPR 2016)."""

    name = timm = "resnet18"
    depth = 18


class ResNet34Options(ResNetOptions):
    """ResNet-34 (He et al., CVPR 2016)."""

    name = timm = "resnet34"
    depth = 34


class ResNet50Options(ResNetOptions):
    """ResNet-50 (He et al., CVPR 2016)."""

    name = timm = "resnet50"
    depth = 50


class ResNet101Options(ResNetOptions):
    """ResNet-101 (He et al., CVPR 2016)."""

    name = timm = "resnet101"
    depth = 101


RESNETS: dict[str, type[ResNetOptions]] = {
    schema.name: schema for schema in (ResNet18Options, ResNet34Options, ResNet50Options, ResNet101Options)
}
"""ResNets by name."""

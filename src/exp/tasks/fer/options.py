"""Options of facial expression recognition: the task, notebook 002's three nets and VGG, drawn faces and FER2013."""

from typing import TYPE_CHECKING, ClassVar, Literal

from exp.data.options import ImageOptions, PublishedImages
from exp.layers.options import ImageModelOptions
from exp.options.checks import at_least, fraction, probability
from exp.options.fields import option
from exp.options.parts import TaskOptions

if TYPE_CHECKING:
    from exp.options.config import Config

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "celu", "tanh"]


class FerOptions(TaskOptions):
    """Facial expression recognition: the three nets of notebook 002."""

    name = "fer"
    builds = "exp.tasks.fer.module:Fer"
    kind = "images"
    monitor = "top1"
    mode = "max"
    reports = ("top1", "top1_*", "macro_f1", "macro_f1_*", "balanced_accuracy", "ece", "loss", "votes_*")
    printed = dict.fromkeys(("accuracy", "acc", "test", "test accuracy", "PrivateTest"), "top1") | dict.fromkeys(
        ("f1", "f1 score", "macro f1"), "macro_f1"
    )

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    class_weights: Literal["none", "sqrt", "inverse"] = "none"
    """Weights of the classes in the training loss: none, or the (square root of the) inverse of a class's share."""
    tta: Literal["none", "flip", "ten_crop"] = "none"
    """Test-time augmentation whose scores the test adds, under its name, to those of the single view: the image and its
    mirror image, or ten crops of 44/48 of the side."""


class FerNetOptions(ImageModelOptions):
    """What all nets of faces share."""

    activation: Activation = "relu"
    """Non-linearity after each convolution."""
    dropout: float = option(0.5, fraction)
    """Dropout of the head."""
    batch_norm: bool = True
    """Whether convolutions are followed by batch norm."""


class PlainNetOptions(FerNetOptions):
    """What the plain convolutional nets share: blocks of one convolution and a pooling by 2 each, then a head."""

    multiples: ClassVar[tuple[int, ...]]
    """Channels of each block's convolution, as multiples of ``width``."""
    hidden: ClassVar[tuple[int, ...]]
    """Units of the hidden layers of ``head=fc``."""

    head: Literal["fc", "gap"] = "fc"
    """Fully connected layers over all places, or their mean and one linear layer."""
    residual: bool = False
    """Whether each block's input is added to its output, through a 1x1 convolution."""
    width: int = option(16, at_least(1))
    """Channels of the first convolution."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        return _one_place(config)


class CNNOptions(PlainNetOptions):
    """Net 1 of notebook 002: two convolutions, no batch norm; 595,655 parameters."""

    name = "cnn"
    builds = "exp.tasks.fer.models:CNN"
    multiples = (1, 2)
    hidden = (128,)
    batch_norm: bool = False
    """Whether convolutions are followed by batch norm."""
    width: int = option(16, at_least(1))
    """Channels of the first convolution; the second has twice as many."""


class DeepCNNOptions(PlainNetOptions):
    """Net 2 of notebook 002: four convolutions with batch norm; 1,636,551 parameters."""

    name = "deepcnn"
    builds = "exp.tasks.fer.models:DeepCNN"
    multiples = (1, 2, 4, 8)
    hidden = (512, 128)
    width: int = option(32, at_least(1))
    """Channels of the first convolution; then 2, 4 and 8 times as many."""


class ResNetCBAMOptions(FerNetOptions):
    """Net 3 of notebook 002: ResNet-18 with one CBAM after each stage; 11,218,771 parameters. att= replaces CBAM."""

    name = "resnet_cbam"
    builds = "exp.tasks.fer.models:ResNetCBAM"
    dropout: float = option(0.3, fraction)
    """Dropout of the head."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """7x7 stride 2 with max-pooling, which leaves 2x2 places of 48x48 (the source's), or 3x3 stride 1."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""
    cbam: bool = True
    """Whether each stage ends with CBAM (reduction 16) where att is none."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if not self.cbam and config.att.name != "none":
            return f"model.cbam=false: att={config.att.name} replaces CBAM anyway; leave it out"
        return None


class VGGOptions(FerNetOptions):
    """VGG with a small head (Simonyan and Zisserman, ICLR 2015), the plain reference of FER2013."""

    name = "vgg"
    builds = "exp.tasks.fer.models:VGG"
    depth: Literal[11, 13, 16, 19] = 19
    """Number of layers with weights in the original."""
    width: int = option(64, at_least(1))
    """Channels of the first stage; then 2, 4, 8 and 8 times as many."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        return _one_place(config)


def _one_place(config: "Config") -> str | None:
    """Returns the message for a placement other than the only one that nets without residual blocks have, or None."""
    placement = config.att.plain().get("placement", "branch_end")
    if placement != "branch_end":
        return (
            f"att.placement={placement}: model={config.model.name} has no such place; its attention comes before each"
            " pooling"
        )
    return None


def _twice(value: float) -> str | None:
    return None if 0 < value < 0.5 else "above 0 and below 0.5, since it is held out twice"


class FacesOptions(ImageOptions):
    """Drawn faces of 48x48 with seven expressions as unequally frequent as FER2013's; embedded, a surrogate."""

    name = "faces"
    builds = "exp.tasks.fer.data.faces:Faces"
    surrogate = True
    train: int = option(3000, at_least(70))
    """Faces in the training part; at least 70, so that each expression occurs."""
    held: int = option(700, at_least(70))
    """Faces in the validation part, and as many in the test part."""
    noise: float = option(1.0, at_least(0))
    """How much pose, light, grain and faint expressions disturb; 0 draws all alike."""
    wrong: float = option(0.1, probability)
    """Part of the faces of each part whose label is another expression's, as taggers err."""


class FER2013Options(PublishedImages):
    """FER2013 as fer2013.csv, icml_face_data.csv, Kaggle's train.csv or image folders: 35,887 faces of 48x48."""

    name = "fer2013"
    builds = "exp.tasks.fer.data.fer2013:FER2013"
    layout: Literal["auto", "csv", "kaggle", "folder"] = option("auto", identity=False)
    """Form of the files: a csv with Usage, the competition's train.csv, class folders (split by the files' names), or
    the first that is there."""
    val_fraction: float | None = option(None, _twice, layout=("auto", "kaggle"))
    """Part of train.csv held out for validation, and as much for the test (0.125 if not given); the other layouts have
    parts of their own."""
    labels: Literal["fer", "ferplus"] = "fer"
    """The competition's seven labels, or FER+'s eight, decided by majority (fer2013new.csv; layout csv only)."""
    target: Literal["majority", "votes"] = option("majority", labels="ferplus")
    """What is learned from FER+: the majority's class, or the taggers' distribution."""
    counts: Literal["official", "any"] = option("official", identity=False)
    """Whether a set is refused whose classes are not as numerous as they officially are."""
    copies: Literal["keep", "drop"] = "keep"
    """Whether training faces of which validation or test have an exact copy are kept."""

"""Facial expression recognition: notebook 002's three nets, FER2013 and drawn faces."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from exp.config.data import Batching, Published
from exp.config.options import at_least, fraction, option, probability
from exp.config.tasks import Task

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "celu", "tanh"]


@dataclass(kw_only=True)
class Fer(Task):
    """Facial expression recognition: the three nets of notebook 002."""

    name: ClassVar[str] = "fer"
    monitor: ClassVar[str] = "top1"
    mode: ClassVar[Literal["max", "min"]] = "max"

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    class_weights: Literal["none", "sqrt", "inverse"] = "none"
    """Weights of the classes in the training loss: none, or the (square root of the) inverse of a class's share."""
    tta: Literal["none", "flip", "ten_crop"] = "none"
    """Test-time augmentation whose scores are added, under its name, to the single view's in the test."""


@dataclass(kw_only=True)
class _Net:
    activation: Activation = "relu"
    """Non-linearity."""
    dropout: float = option(0.5, fraction)
    """Dropout of the head."""
    batch_norm: bool = True
    """Whether convolutions are followed by batch norm."""


@dataclass(kw_only=True)
class _Plain(_Net):
    head: Literal["fc", "gap"] = "fc"
    """Fully connected layers over all places, or their mean and one linear layer."""
    residual: bool = False
    """Whether each block's input is added to its output, through a 1x1 convolution."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand."""
        return _one_place(config)


@dataclass(kw_only=True)
class CNN(_Plain):
    """Net 1 of notebook 002: two convolutions, no batch norm; 595,655 parameters."""

    name: ClassVar[str] = "cnn"
    batch_norm: bool = False
    """Whether convolutions are followed by batch norm."""
    width: int = option(16, at_least(1))
    """Channels of the first convolution; the second has twice as many."""


@dataclass(kw_only=True)
class DeepCNN(_Plain):
    """Net 2 of notebook 002: four convolutions with batch norm; 1,636,551 parameters."""

    name: ClassVar[str] = "deepcnn"
    width: int = option(32, at_least(1))
    """Channels of the first convolution; then 2, 4 and 8 times as many."""


@dataclass(kw_only=True)
class ResNetCBAM(_Net):
    """Net 3 of notebook 002: ResNet-18 with one CBAM after each stage; 11,218,771 parameters. att= replaces CBAM."""

    name: ClassVar[str] = "resnet_cbam"
    dropout: float = option(0.3, fraction)
    """Dropout of the head."""
    stem: Literal["imagenet", "cifar"] = "imagenet"
    """7x7 stride 2 with max-pooling, which leaves 2x2 places of 48x48 (the source's), or 3x3 stride 1."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""
    cbam: bool = True
    """Whether the stages end with CBAM where att is none."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand."""
        if not config["model"]["cbam"] and config["att"]["name"] != "none":
            return f"model.cbam=false: att={config['att']['name']} replaces CBAM anyway; leave it out"
        return None


@dataclass(kw_only=True)
class VGG(_Net):
    """VGG with a small head (Simonyan and Zisserman, ICLR 2015), the plain reference of FER2013."""

    name: ClassVar[str] = "vgg"
    depth: Literal[11, 13, 16, 19] = 19
    """Number of layers with weights in the original."""
    width: int = option(64, at_least(1))
    """Channels of the first stage."""

    @staticmethod
    def complaint(config: dict[str, Any]) -> str | None:
        """What cannot stand."""
        return _one_place(config)


def _one_place(config: dict[str, Any]) -> str | None:
    model, placement = config["model"]["name"], config["att"].get("placement", "branch_end")
    if placement != "branch_end":
        return f"att.placement={placement}: model={model} has no such place; attention stands before its poolings"
    return None


@dataclass(kw_only=True)
class Faces(Batching):
    """Drawn faces of 48x48 with seven expressions as unequally frequent as FER2013's; embedded, a surrogate."""

    name: ClassVar[str] = "faces"
    train: int = option(3000, at_least(70))
    """Faces in the training part."""
    held: int = option(700, at_least(70))
    """Faces in the validation part, and as many in the test part."""
    noise: float = option(1.0, at_least(0))
    """How much pose, light, grain and faint expressions disturb; 0 draws all alike."""
    wrong: float = option(0.1, probability)
    """Part of the faces of each part whose label is another expression's, as taggers err."""


@dataclass(kw_only=True)
class FER2013(Published):
    """FER2013 as fer2013.csv, icml_face_data.csv, Kaggle's train.csv or image folders: 35,887 faces of 48x48."""

    name: ClassVar[str] = "fer2013"
    layout: Literal["auto", "csv", "kaggle", "folder"] = option("auto", identity=False)
    """Form of the files: a csv with Usage, the competition's train.csv, class folders, or the first that is there."""
    val_fraction: float | None = option(None, fraction, layout=("auto", "kaggle"))
    """Part of train.csv held out for validation, and as much for the test (0.125 if not given)."""
    labels: Literal["fer", "ferplus"] = "fer"
    """The competition's seven labels, or FER+'s eight, decided by majority (fer2013new.csv)."""
    target: Literal["majority", "votes"] = option("majority", labels="ferplus")
    """What is learned from FER+: the majority's class, or the taggers' distribution."""
    counts: Literal["official", "any"] = option("official", identity=False)
    """Whether classes have to be as numerous as they officially are."""
    copies: Literal["keep", "drop"] = "keep"
    """Whether training faces that also stand in validation or test are kept."""


TASKS = (Fer,)
MODELS = (CNN, DeepCNN, ResNetCBAM, VGG)
DATA = (Faces, FER2013)

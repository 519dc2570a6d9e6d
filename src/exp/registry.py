"""Names to classes, one flat table a kind, imported when asked for."""

import importlib
import inspect
from typing import Any

TASKS = {
    "attention": "exp.tasks.attention:Attention",
    "fer": "exp.tasks.fer:Fer",
    "gait": "exp.tasks.gait:Gait",
    "lane": "exp.tasks.lane:Lane",
}

MODELS = {
    "resnet18": "exp.models.resnet:resnet18",
    "resnet34": "exp.models.resnet:resnet34",
    "resnet50": "exp.models.resnet:resnet50",
    "resnet101": "exp.models.resnet:resnet101",
    "res2net50": "exp.models.res2net:Res2Net",
    "mobilenetv2": "exp.models.mobilenetv2:MobileNetV2",
    "van_b0": "exp.models.van:van_b0",
    "van_b1": "exp.models.van:van_b1",
    "van_b2": "exp.models.van:van_b2",
    "van_b3": "exp.models.van:van_b3",
    "van_b4": "exp.models.van:van_b4",
    "van_b5": "exp.models.van:van_b5",
    "van_b6": "exp.models.van:van_b6",
    "cnn": "exp.models.fer:cnn",
    "deepcnn": "exp.models.fer:deepcnn",
    "resnet_cbam": "exp.models.fer:ResNetCBAM",
    "vgg": "exp.models.fer:VGG",
    "baseline": "exp.models.gait:baseline",
    "convlstm": "exp.models.gait:convlstm",
    "partlstm": "exp.models.gait:partlstm",
    "attentionlstm": "exp.models.gait:attentionlstm",
    "baseattention": "exp.models.gait_attention:BaseAttention",
    "reelresnet": "exp.models.gait_reel:ReelResnet",
    "lanelm": "exp.models.lanelm:LaneLM",
}

BLOCKS = {
    "none": "torch.nn:Identity",
    "triplet": "exp.nn.triplet:Triplet",
    "tripletca": "exp.nn.triplet_ca:TripletCA",
    "tripletlka": "exp.nn.triplet_lka:TripletLKA",
    "ca": "exp.nn.coordinate:CoordinateAttention",
    "lka": "exp.nn.lka:LKA",
    "van": "exp.nn.van_attention:VANAttention",
    "cbam": "exp.nn.cbam:CBAM",
    "bam": "exp.nn.bam:BAM",
    "step2": "exp.nn.step2:Step2",
    "se": "exp.nn.squeeze_excite:SqueezeExcite",
    "eca": "exp.nn.eca:ECA",
    "custom": "exp.nn.custom:Custom",
}

SOURCES = {
    "digits": "exp.data.digits:Digits",
    "where": "exp.data.where:Where",
    "cifar10": "exp.data.cifar:Cifar10",
    "cifar100": "exp.data.cifar:Cifar100",
    "imagefolder": "exp.data.imagefolder:ImageFolder",
    "faces": "exp.data.faces:Faces",
    "fer2013": "exp.data.fer2013:FER2013",
    "walkers": "exp.data.walkers:Walkers",
    "casia_b": "exp.data.casia_b:CasiaB",
    "roads": "exp.data.roads:Roads",
    "culane": "exp.data.culane:CULane",
    "tusimple": "exp.data.tusimple:TuSimple",
}


def load(table: dict[str, str], name: str) -> Any:
    """Imports the class registered under ``name``."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def source(data: dict[str, Any]) -> Any:
    """The reader of a data set, given those of the set's options that its constructor names; imports no torch.

    The other options say how a batch is made and are the task's.

    Raises:
        ConfigError: Options that exclude one another.
    """
    from exp.config.options import ConfigError

    reader = load(SOURCES, data["name"])
    taken = inspect.signature(reader).parameters
    try:
        return reader(**{key: value for key, value in data.items() if key in taken})
    except ValueError as error:
        raise ConfigError(f"data={data['name']}: {error}") from error

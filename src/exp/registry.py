"""Names to classes, one flat table a kind, imported when asked for."""

import importlib
import inspect
from typing import Any

TASKS = {
    "attention": "exp.tasks.attention:Attention",
}

MODELS = {
    "resnet18": "exp.models.resnet:resnet18",
    "resnet34": "exp.models.resnet:resnet34",
    "resnet50": "exp.models.resnet:resnet50",
    "resnet101": "exp.models.resnet:resnet101",
}

BLOCKS = {
    "none": "torch.nn:Identity",
    "triplet": "exp.nn.triplet:Triplet",
    "tripletca": "exp.nn.triplet_ca:TripletCA",
    "tripletlka": "exp.nn.triplet_lka:TripletLKA",
    "ca": "exp.nn.coordinate:CoordinateAttention",
    "lka": "exp.nn.lka:LKA",
    "cbam": "exp.nn.cbam:CBAM",
    "se": "exp.nn.squeeze_excite:SqueezeExcite",
    "eca": "exp.nn.eca:ECA",
}

SOURCES = {
    "digits": "exp.data.digits:Digits",
    "cifar10": "exp.data.cifar:Cifar10",
    "cifar100": "exp.data.cifar:Cifar100",
    "imagefolder": "exp.data.imagefolder:ImageFolder",
}


def load(table: dict[str, str], name: str) -> Any:
    """Imports the class registered under ``name``."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def source(data: dict[str, Any]) -> Any:
    """The reader of a data set, given those of the set's options that its constructor names; imports no torch.

    The other options say how a batch is made and are the task's.
    """
    reader = load(SOURCES, data["name"])
    taken = inspect.signature(reader).parameters
    return reader(**{key: value for key, value in data.items() if key in taken})

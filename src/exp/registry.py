"""Names to classes, one flat table a kind, imported when asked for."""

import importlib
from typing import Any

from exp.config.data import Batching
from exp.config.options import fields

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
    """The reader of a data set (see ``exp.data.source.Source``) with its own options; imports no torch."""
    options = {key: value for key, value in data.items() if key != "name" and key not in fields(Batching)}
    return load(SOURCES, data["name"])(**options)

"""A model from plain options: the backbone by name, attention put in its places."""

import inspect
from functools import partial
from typing import Any

from torch import nn

from exp import registry


def attention(options: dict[str, Any]) -> dict[str, Any]:
    """The backbone's attention arguments: a factory from channels to a block, and where it stands; none for none."""
    if options["name"] == "none":
        return {}
    own = {key: value for key, value in options.items() if key not in ("name", "placement", "record")}
    return {"att": partial(registry.load(registry.BLOCKS, options["name"]), **own), "placement": options["placement"]}


def attention_class(options: dict[str, Any]) -> type[nn.Module] | None:
    """The class of the chosen attention block, None for none."""
    return None if options["name"] == "none" else registry.load(registry.BLOCKS, options["name"])


def backbone(
    config: dict[str, Any], *, in_channels: int, num_classes: int, image_size: tuple[int, ...] | None = None
) -> nn.Module:
    """The chosen model with the chosen attention.

    Args:
        config: A cell's effective options, of which ``model`` and ``att`` are read.
        in_channels: Channels of an image.
        num_classes: Outputs of the classifier.
        image_size: Height and width, for the models that are built for one size and name it in their constructor.
    """
    own = {key: value for key, value in config["model"].items() if key not in ("name", "init")}
    build = registry.load(registry.MODELS, config["model"]["name"])
    if "image_size" in inspect.signature(build).parameters:
        own["image_size"] = image_size
    return build(in_channels=in_channels, num_classes=num_classes, **own, **attention(config["att"]))

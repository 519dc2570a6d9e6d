"""How a cell differs from what was published: surrogate data, another budget, other choices."""

from dataclasses import dataclass
from typing import Any

from exp.options.config import GROUPS, SECTIONS, Config
from exp.options.fields import fields
from exp.options.resolve import Resolved

HARMLESS = ("devices", "accumulate", "channels_last", "compile", "precision", "sync_batchnorm")
"""Trainer options that change how fast a number is reached, not which one is meant."""


@dataclass(frozen=True)
class Label:
    """What a reader has to know beside a reproduced number.

    Attributes:
        text: The differences, empty where there is none.
        comparable: Whether a difference to the published number may be shown.
        same_data: Whether the data set is the one that the numbers, and what guessing gives, are of.
    """

    text: str = ""
    comparable: bool = True
    same_data: bool = True


def label(cell: Resolved, published: Resolved, data: str = "") -> Label:
    """Compares a cell with the row as its table states it.

    Args:
        cell: The cell.
        published: The row without anything from the command line.
        data: Data set that the published numbers are of, where it is not the table's own.
    """
    config, source = cell.config, published.config
    words = []
    if config.recipe != source.recipe:
        words.append(f"recipe={config.recipe}")
    wanted = data or source.data.name
    if config.data.name != wanted:
        kind = "surrogate data, " if config.data.surrogate else ""
        words.append(f"{kind}{config.data.name} in place of {wanted}")
    for part in ("model", "att"):
        ours, theirs = getattr(config, part).name, getattr(source, part).name
        if ours != theirs:
            words.append(f"{part} {ours} in place of {theirs}")
    if cell.narrowed and cell.narrowed != published.narrowed:
        words.append(cell.narrowed)
    epochs, budget = config.trainer.max_epochs, source.trainer.max_epochs
    if epochs != budget:
        words.append(f"{epochs} {'epoch' if epochs == 1 else 'epochs'} in place of {budget}")
    comparable = not words
    other = _other(config, source, named={"trainer.max_epochs"})
    same_parts = all(getattr(config, part).name == getattr(source, part).name for part in ("data", "model", "att"))
    if same_parts and config.recipe == source.recipe:
        words += [f"{key}={value}" for key, value in other.items()]
        comparable = comparable and all(key.removeprefix("trainer.") in HARMLESS for key in other)
    return Label("; ".join(words), comparable, config.data.name == wanted)


def _other(config: Config, source: Config, named: set[str]) -> dict[str, Any]:
    """Returns the options of the identity that differ, beside those already named."""
    differing = {}
    for part in (*GROUPS, *SECTIONS):
        options, theirs = getattr(config, part), getattr(source, part).plain()
        for key, value in options.plain().items():
            counts = fields(type(options))[key].metadata.get("identity", True)
            if counts and f"{part}.{key}" not in named and theirs.get(key, value) != value:
                differing[f"{part}.{key}"] = value
    return differing

"""How a cell differs from what was published: surrogate data, another budget, other choices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exp.options.config import GROUPS, SECTIONS, Config
from exp.options.fields import fields
from exp.options.resolve import Resolved

ROUNDING = ("trainer.channels_last", "trainer.compile")
"""Options that round otherwise and change nothing else, which a run may also choose by measurement."""


@dataclass(frozen=True)
class Label:
    """What a reader has to know beside a reproduced number.

    Attributes:
        text: The differences, empty where there is none.
        comparable: Whether a difference to the published number may be shown: data, model, every option of the
            recipe, epochs and checkpoint are the source's.
        same_data: Whether the data set is the one that the table's own numbers, and what guessing gives, are of.
    """

    text: str = ""
    comparable: bool = True
    same_data: bool = True


def label(
    cell: Resolved, stated: Resolved, published: Resolved, *, beyond: str = "", may_differ: Mapping[str, str] = {}
) -> Label:
    """Compares a cell with the run that a published number is of.

    Args:
        cell: The cell.
        stated: The row as its table states it, without anything from the command line.
        published: The same with what the source's numbers were measured on.
        beyond: What the source's run had that no option can say; nothing is comparable then.
        may_differ: Options that may differ, each with the words that say by how much it was shown to matter.
    """
    config, source = cell.config, published.config
    words = []
    if config.recipe != source.recipe:
        words.append(f"recipe={config.recipe}")
    if config.data.name != source.data.name:
        kind = "surrogate data, " if config.data.surrogate else ""
        words.append(f"{kind}{config.data.name} in place of {source.data.name}")
    elif config.data.surrogate:
        words.append(f"surrogate data, {config.data.name}")
    for part in ("model", "att"):
        ours, theirs = getattr(config, part).name, getattr(source, part).name
        if ours != theirs:
            words.append(f"{part} {ours} in place of {theirs}")
    if cell.narrowed:
        words.append(cell.narrowed)
    epochs, budget = config.trainer.max_epochs, source.trainer.max_epochs
    if epochs != budget:
        words.append(f"{epochs} {'epoch' if epochs == 1 else 'epochs'} in place of {budget}")
    if cell.identity.get("ckpt") != published.identity.get("ckpt"):
        words.append(f"starts from ckpt={config.ckpt}" if config.ckpt else "starts without the source's checkpoint")
    comparable = not words and not beyond
    other = _other(config, source, named={"trainer.max_epochs", *ROUNDING})
    same_parts = all(getattr(config, part).name == getattr(source, part).name for part in ("data", "model", "att"))
    if same_parts and config.recipe == source.recipe:
        words += [f"{key}={value}" + _allowed(key, may_differ) for key, value in other.items()]
        comparable = comparable and all(key in may_differ for key in other)
    if beyond:
        words.append(f"the source had {beyond}")
    return Label("; ".join(words), comparable, config.data.name == stated.config.data.name)


def _allowed(key: str, may_differ: Mapping[str, str]) -> str:
    return f" ({may_differ[key]})" if key in may_differ else ""


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

"""How a cell differs from what was published: surrogate data, another budget, other choices."""

from dataclasses import dataclass
from typing import Any

from exp.config import GROUPS
from exp.config.resolve import Resolved

SURROGATES = ("digits", "walkers", "roads", "faces", "where")
"""Data sets that stand in for real ones."""

HARMLESS = ("devices", "accumulate", "channels_last", "compile", "precision", "sync_batchnorm")
"""Trainer options that change how fast a number is reached, not which one is meant."""


@dataclass(frozen=True)
class Label:
    """What has to be said beside a reproduced number.

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
    words, comparable = [], True
    if config["recipe"] != source["recipe"]:
        words.append(f"recipe={config['recipe']}")
    wanted = data or source["data"]["name"]
    if config["data"]["name"] != wanted:
        kind = "surrogate data, " if surrogate(config["data"]["name"]) else ""
        words.append(f"{kind}{config['data']['name']} in place of {wanted}")
    for part in ("model", "att"):
        if config.get(part, {}).get("name") != source.get(part, {}).get("name"):
            words.append(f"{part} {_name(config, part)} in place of {_name(source, part)}")
    epochs, budget = config["trainer"]["max_epochs"], source["trainer"]["max_epochs"]
    if epochs != budget:
        words.append(f"{epochs} {'epoch' if epochs == 1 else 'epochs'} in place of {budget}")
    comparable = not words
    other = _other(config, source, named={"data.name", "model.name", "att.name", "trainer.max_epochs"})
    same_parts = all(_name(config, part) == _name(source, part) for part in ("data", "model", "att"))
    if same_parts and config["recipe"] == source["recipe"]:
        words += [f"{key}={value}" for key, value in other.items()]
        comparable = comparable and all(key.removeprefix("trainer.") in HARMLESS for key in other)
    return Label("; ".join(words), comparable, config["data"]["name"] == wanted)


def surrogate(data: str) -> bool:
    """Whether a data set stands in for a real one."""
    return data in SURROGATES


def _name(config: dict[str, Any], part: str) -> str:
    return str(config.get(part, {}).get("name", "none"))


def _other(config: dict[str, Any], source: dict[str, Any], named: set[str]) -> dict[str, Any]:
    """Options of the identity that differ beside those already named."""
    from exp.config import SECTIONS
    from exp.config.options import fields

    found = {}
    for part, values in config.items():
        if not isinstance(values, dict):
            continue
        schema = GROUPS[part].get(values["name"]) if part in GROUPS else SECTIONS.get(part)
        for key, value in values.items():
            known = fields(schema).get(key) if schema else None
            told = known is None or known.metadata.get("identity", True)
            if told and f"{part}.{key}" not in named and source.get(part, {}).get(key, value) != value:
                found[f"{part}.{key}"] = value
    return found

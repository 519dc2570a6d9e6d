"""``ckpt=CELL`` and ``init=CELL``: the choices of the cell whose weights are taken, where nothing else is given."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exp.cells.files import read_json
from exp.options.catalog import schema_of
from exp.options.config import GROUPS
from exp.options.fields import distinctive
from exp.options.weights import OWN, TIMM, checkpoint_of, parted
from exp.options.words import spelt, value_of

STARTS = ("ckpt", "init", "model.init")
"""Options that say which weights a cell starts from."""

OWN_AFFAIR = (
    *("seed", "ckpt", "init", "recipe", "optim", "trainer", "sweep", "cells", "logger", "callbacks", "origin"),
    *("hydra", "table"),
)
"""What a cell that starts from another's weights does not take over: how it is trained and where it lies."""


def with_choices_of_checkpoint(words: Sequence[str]) -> list[str]:
    """Returns overrides preceded by the task, model, attention and data of the cell that ``ckpt=`` or ``init=`` names.

    The value may be a cell's folder, which means its ``best.ckpt``, or a checkpoint in it. Any other file is left as it
    is. Of a part that is chosen anew nothing is taken over, of a cell of another task nothing at all.

    Raises:
        ConfigError: The folder holds no checkpoint.
    """
    place = next((place for place, word in enumerate(words) if _key(word) in STARTS), None)
    if place is None or any(word.startswith("table=") for word in words):
        return list(words)
    option, value = _key(words[place]), str(value_of(words[place]))
    if value in (OWN, TIMM):
        return list(words)
    path, prefix = (Path(value).expanduser(), "") if option == "ckpt" else parted(value)
    path = checkpoint_of(path, f"{option}={value}")
    record = read_json(path.parent / "config.json")
    if record is None or not path.is_file():
        return list(words)
    start = f"{option}={spelt(f'{path}:{prefix}' if prefix else str(path))}"
    return [*words[:place], *_taken(words, record), start, *words[place + 1 :]]


def told(words: Sequence[str], completed: Sequence[str]) -> str:
    """Returns what was taken over from the checkpoint's cell, for the run's first lines; empty where nothing was."""
    taken = [word for word in completed if word not in words and _key(word) not in STARTS]
    return f"from the checkpoint's cell: {shlex.join(taken)}" if taken else ""


def _taken(words: Sequence[str], record: dict[str, Any]) -> Iterator[str]:
    """Yields the overrides that are taken over from a cell's record."""
    given = {_key(word): str(value_of(word)) for word in words}
    config = record.get("config", {})
    if given.get("task", task := config.get("task", {}).get("name")) != task:
        return
    own = {*OWN_AFFAIR, *given}
    before = {_key(word): word for word in record.get("overrides", [])}
    for key, word in before.items():
        part = key.partition(".")[0]
        homes = [part] if part in GROUPS else [group for group in GROUPS if part in config.get(group, {})]
        name = key.rpartition(".")[2]
        spellings = {key, name, part, *homes, *(f"{home}.{name}" for home in homes)}
        if not own & spellings and key != "model.init":
            yield word
    # Under another recipe or on other data, what the recipe had made of the network has to be given.
    for part in ("model", "att") if {"data", "recipe"} & {*given} else ():
        if part in config and part not in given:
            schema = schema_of(part, config[part])
            for name, value in distinctive(schema, config[part]).items():
                if not {name, f"{part}.{name}"} & ({*given} | {*before}):
                    yield f"{part}.{name}={spelt(value)}"
            if part not in before:
                yield f"{part}={config[part]['name']}"


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]

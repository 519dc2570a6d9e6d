"""``ckpt=CELL``: the choices of the cell whose weights are taken, where the command line does not say otherwise."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from exp.options.errors import ConfigError
from exp.options.words import spelt, value_of

OWN = ("seed", "ckpt", "recipe", "optim", "trainer", "sweep", "cells", "logger", "callbacks")
"""What a cell that starts from another's weights does not take over: how it is trained and where it lies."""


def with_choices_of_checkpoint(words: Sequence[str]) -> list[str]:
    """Returns overrides preceded by the task, model, attention and data of the cell that ``ckpt=`` names.

    ``ckpt`` may be a cell's folder, which stands for its ``best.ckpt``, or a checkpoint in it. Any other file is left
    as it is.

    Raises:
        ConfigError: The folder holds no checkpoint.
    """
    place = next((place for place, word in enumerate(words) if word.startswith("ckpt=")), None)
    if place is None or any(word.startswith("table=") for word in words):
        return list(words)
    value = str(value_of(words[place]))
    path = Path(value).expanduser()
    if path.is_dir():
        known = [path / f"{name}.ckpt" for name in ("best", "last")]
        path = next((one for one in known if one.is_file()), path)
        if path.is_dir():
            raise ConfigError(f"ckpt={value}: holds neither best.ckpt nor last.ckpt; cells.keep=best keeps one")
    recorded = path.parent / "config.json"
    if not recorded.is_file():
        return list(words)
    before = json.loads(recorded.read_text(encoding="utf-8")).get("overrides", [])
    given = {_key(word) for word in words}
    taken = [word for word in before if _key(word) not in given and _key(word).partition(".")[0] not in OWN]
    return [*words[:place], *taken, f"ckpt={spelt(str(path))}", *words[place + 1 :]]


def told(words: Sequence[str], completed: Sequence[str]) -> str:
    """Returns what was taken over from the checkpoint's cell, for the run's first lines; empty where nothing was."""
    taken = [word for word in completed if word not in words and not word.startswith("ckpt=")]
    return f"from the checkpoint's cell: {shlex.join(taken)}" if taken else ""


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]

"""What can be chosen: every options class with a name, found where tasks and blocks declare it. Imports no torch.

A choice is declared once, by its class: ``name`` in an ``options.py`` makes it known to the command line, to
``exp list`` and to errors.
"""

import importlib
import pkgutil
from typing import Any

from exp.options.config import SECTIONS as SECTIONS
from exp.options.config import Config
from exp.options.errors import ConfigError, nearest
from exp.options.fields import fields
from exp.options.parts import BlockOptions, DataOptions, ModelOptions, NoAttention, Part, TaskOptions

_BASES = {"task": (TaskOptions,), "model": (ModelOptions,), "att": (NoAttention, BlockOptions), "data": (DataOptions,)}


def _modules() -> list[str]:
    """Returns the modules that declare choices: those shared, whose first choice is att=none, and one a task."""
    tasks = importlib.import_module("exp.tasks")
    folders = [found.name for found in pkgutil.iter_modules(tasks.__path__) if found.ispkg]
    return [
        "exp.options.parts",
        "exp.blocks.options",
        "exp.layers.options",
        *(f"exp.tasks.{name}.options" for name in sorted(folders)),
    ]


def _declared() -> dict[str, dict[str, type[Part]]]:
    groups: dict[str, dict[str, type[Part]]] = {group: {} for group in _BASES}
    for module in _modules():
        for value in vars(importlib.import_module(module)).values():
            if not (isinstance(value, type) and issubclass(value, Part)) or "name" not in vars(value):
                continue
            group = next(group for group, bases in _BASES.items() if issubclass(value, bases))
            other = groups[group].setdefault(value.name, value)
            if other is not value:
                raise ConfigError(f"{group}={value.name}: declared twice, in {other.__module__} and {value.__module__}")
    return groups


GROUPS: dict[str, dict[str, Any]] = _declared()
"""Choices of each part by name."""

TASKS: dict[str, type[TaskOptions]] = GROUPS["task"]
"""Tasks by name."""


def fitting(group: str, kind: str) -> list[str]:
    """Returns the models or data sets of a kind."""
    return [name for name, schema in GROUPS[group].items() if schema.kind == kind]


def schema_of(part: str, values: dict[str, Any]) -> type:
    """Returns the options class of a part, from its plain options.

    Raises:
        ConfigError: Its choice is unknown.
    """
    if part in SECTIONS:
        return SECTIONS[part]
    name = values.get("name")
    if name not in GROUPS[part]:
        raise ConfigError(f"{part}={name}: no such choice{nearest(name, GROUPS[part])}")
    return GROUPS[part][name]


def restored(plain: dict[str, Any]) -> Config:
    """Returns the options that ``Config.plain`` made a dictionary of; what an older version has not, has its default.

    Raises:
        ConfigError: A choice or option is no longer known, or its value no longer allowed.
    """
    parts: dict[str, Any] = {}
    for part in (*GROUPS, *SECTIONS):
        values = dict(plain.get(part, {}))
        schema = schema_of(part, values)
        if part in GROUPS:
            values.pop("name")
        unknown = [name for name in values if name not in fields(schema)]
        if unknown:
            raise ConfigError(f"{part}.{unknown[0]}: no such option in this version")
        parts[part] = schema(**values)
    return Config(**parts, seed=plain["seed"], recipe=plain["recipe"], ckpt=plain.get("ckpt"))

"""The schema: what can be chosen, which options each choice has, and what they mean. Imports no torch."""

from typing import Any

from exp.config import att, attention, fer, gait, lane, run
from exp.config.options import ConfigError
from exp.config.tasks import Task

MODULES = (attention, fer, gait, lane, att)
"""Where schemas are declared: a module a task, and one for the attention blocks they share."""


def _declared(kind: str) -> dict[str, Any]:
    return {schema.name: schema for module in MODULES for schema in getattr(module, kind, ())}


TASKS: dict[str, type[Task]] = _declared("TASKS")
"""Tasks by name."""

GROUPS: dict[str, dict[str, type]] = {
    "task": dict(TASKS),
    "model": _declared("MODELS"),
    "att": _declared("BLOCKS"),
    "data": _declared("DATA"),
}
"""Choices of each group by name."""

SECTIONS: dict[str, type] = {
    "optim": run.Optim,
    "trainer": run.Trainer,
    "sweep": run.Sweep,
    "cells": run.Cells,
    "logger": run.Logger,
    "origin": run.Origin,
}
"""Option sections every run has."""

__all__ = ["GROUPS", "SECTIONS", "TASKS", "ConfigError"]

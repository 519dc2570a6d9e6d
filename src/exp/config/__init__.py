"""The schema: what can be chosen, which options each choice has, and what they mean. Imports no torch."""

from exp.config import att, data, model, run, task
from exp.config.options import ConfigError

GROUPS: dict[str, dict[str, type]] = {
    group: {schema.name: schema for schema in module.SCHEMAS}
    for group, module in {"task": task, "model": model, "att": att, "data": data}.items()
}
"""Choices of each group by name."""

SECTIONS: dict[str, type] = {"optim": run.Optim, "trainer": run.Trainer, "sweep": run.Sweep, "cells": run.Cells}
"""Option sections every run has."""

__all__ = ["GROUPS", "SECTIONS", "ConfigError"]

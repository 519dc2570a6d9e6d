"""The LightningModule of a finished cell as a user takes it on: in evaluation mode, and called like any network."""

from functools import partial
from typing import Any

import lightning.pytorch as pl

from exp.options.errors import ConfigError
from exp.tasks.adopted import Adopted
from exp.tasks.base import Task


def ready(task: Task | Adopted) -> pl.LightningModule:
    """Returns a task's LightningModule in evaluation mode.

    Called, it does what its ``forward`` does. A task without one calls its model; an unchanged LightningModule without
    one says so in one line.
    """
    module = task.lightning.eval()
    if type(module).forward is pl.LightningModule.forward:
        parts = ", ".join(name for name, _ in module.named_children())
        forward = task.model if isinstance(task, Task) else partial(_refuse, type(module).__name__, parts)
        module.__dict__["forward"] = forward  # past torch's books, which would take the model for a further part
    return module


def _refuse(name: str, parts: str, *given: Any, **named: Any) -> None:
    raise ConfigError(f"{name}: has no forward, so it cannot be called; write one, or call a part of it: {parts}")

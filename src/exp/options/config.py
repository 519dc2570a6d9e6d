"""A cell's options, complete and typed."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from exp.options.parts import BlockOptions, DataOptions, ModelOptions, NoAttention, TaskOptions
from exp.options.sections import Callbacks, Cells, Logger, Optim, Origin, Sweep, Trainer

TaskT = TypeVar("TaskT", bound=TaskOptions, covariant=True)
ModelT = TypeVar("ModelT", bound=ModelOptions, covariant=True)
DataT = TypeVar("DataT", bound=DataOptions, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Config(Generic[TaskT, ModelT, DataT]):
    """What a cell does, down to the last option; every option is a typed attribute, such as ``config.optim.lr``.

    A task names the classes of its own parts, ``Config[GaitOptions, GaitNetOptions, ClipOptions]``, so that a type
    checker knows their options too.
    """

    task: TaskT
    model: ModelT
    att: BlockOptions | NoAttention
    data: DataT
    optim: Optim
    trainer: Trainer
    callbacks: Callbacks
    sweep: Sweep
    cells: Cells
    logger: Logger
    origin: Origin
    seed: int
    recipe: str
    ckpt: str | None = None

    def plain(self) -> dict[str, Any]:
        """Returns the options that are read, as a dictionary that JSON, YAML and checkpoints can hold."""
        parts = {part: {"name": getattr(self, part).name, **getattr(self, part).plain()} for part in GROUPS}
        sections = {section: getattr(self, section).plain() for section in SECTIONS}
        return {**parts, **sections, "seed": self.seed, "recipe": self.recipe, "ckpt": self.ckpt}


GROUPS = ("task", "model", "att", "data")
"""Parts of a run for which there are choices."""

SECTIONS: dict[str, type] = {
    "optim": Optim,
    "trainer": Trainer,
    "callbacks": Callbacks,
    "sweep": Sweep,
    "cells": Cells,
    "logger": Logger,
    "origin": Origin,
}
"""Options that every run has, by section."""

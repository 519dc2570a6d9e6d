"""Callbacks of Lightning's or of a user's own, as the configuration names them."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import callbacks as known

from exp.options.errors import ConfigError, brief
from exp.options.plugins import watch_package

REFUSED: dict[type[pl.Callback], str] = {
    known.WeightAveraging: (
        "it puts the trained weights back before the best epoch is kept, so other weights would be tested than were"
        " validated; take trainer.ema=DECAY"
    ),
    known.StochasticWeightAveraging: (
        "it lengthens the training by an epoch and replaces the schedule, so that a run that was stopped does not go on"
        " as it would have; take trainer.ema=DECAY"
    ),
    known.GradientAccumulationScheduler: (
        "the data are cut into micro-batches before training begins; take trainer.accumulate_grad_batches"
    ),
    known.BatchSizeFinder: "the batch size belongs to a cell's identity; set data.batch_size",
    known.LearningRateFinder: "the rate belongs to a cell's identity; sweep over optim.lr",
}
"""Callbacks of Lightning's that a cell cannot have, and why."""


def own_callbacks(use: Mapping[str, Mapping[str, Any]] | None) -> list[pl.Callback]:
    """Builds the callbacks of ``callbacks.use``; the working directory is searched for their modules too.

    Args:
        use: By a name of the user's: ``target``, as ``package.module:Class``, and the arguments of the class.

    Raises:
        ConfigError: A class cannot be imported or built, is no callback, or cannot work in a cell.
    """
    return [_built(f"callbacks.use.{name}", dict(given)) for name, given in (use or {}).items()]


def _built(where: str, given: dict[str, Any]) -> pl.Callback:
    target = given.pop("target")
    module, _, name = target.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        kind = getattr(importlib.import_module(module), name)
        callback = kind(**given)
        watch_package(module)
    except Exception as error:
        raise ConfigError(f"{where}: {target} cannot be built ({brief(error)})") from error
    if not isinstance(callback, pl.Callback):
        raise ConfigError(f"{where}: {target} makes a {type(callback).__name__}, not a Lightning callback")
    for refused, reason in REFUSED.items():
        if isinstance(callback, refused):
            raise ConfigError(f"{where}: {target}: {reason}")
    return callback

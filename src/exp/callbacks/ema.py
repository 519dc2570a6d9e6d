"""An exponential moving average of the weights, which is validated, kept as the best and tested in their place.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in its exponential form.
"""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from exp.tasks.base import Task


class WeightAverage(pl.Callback):
    """Follows the weights after each optimizer step; has to come before the callbacks that save, ``back`` after them.

    Lightning's ``EMAWeightAveraging`` cannot take its place: it puts the trained weights back before the scores of a
    validation are known, and with them whether the averaged weights are to be kept as the best.

    Floating-point buffers (the statistics of batch norm) are averaged too, others are copied. In the first steps the
    decay is lower, (1 + steps) / (10 + steps), so that the average does not hang on to the initial weights.

    Args:
        decay: Of a step, below 1.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._seen = 0
        self._average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}
        self.back = _TrainedAgain(self)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begins with the weights as they are, unless a checkpoint brought an average."""
        state = _state(pl_module)
        if not self._average:
            self._average = {name: value.detach().clone() for name, value in state.items()}
        self._average = {name: value.to(state[name].device) for name, value in self._average.items()}
        self._seen = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the average where an optimizer step was made."""
        if trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        state = _state(pl_module)
        floating = [name for name, value in state.items() if value.is_floating_point()]
        get_ema_multi_avg_fn(decay)(
            [self._average[name] for name in floating], [state[name] for name in floating], None
        )
        _set(self._average, {name: value for name, value in state.items() if not value.is_floating_point()})

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the average in the weights' place."""
        state = _state(pl_module)
        self._trained = {name: value.detach().clone() for name, value in state.items()}
        _set(state, self._average)

    def put_back(self, module: pl.LightningModule) -> None:
        """Puts the trained weights back, once the callbacks that keep the best epoch have seen the average."""
        _set(_state(module), self._trained)
        self._trained = {}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the average, which is what a run without a best epoch tests.

        Unlike ``on_train_end`` it is also called where a checkpoint says that nothing is left to train.
        """
        _set(_state(pl_module), self._average)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps the average beside the weights."""
        checkpoint["ema"] = {"steps": self.steps, "average": self._average}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Goes on averaging."""
        self.steps, self._average = checkpoint["ema"]["steps"], checkpoint["ema"]["average"]


class _TrainedAgain(pl.Callback):
    """Ends a validation of averaged weights."""

    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._average.put_back(pl_module)


def _state(module: pl.LightningModule) -> dict[str, Tensor]:
    assert isinstance(module, Task)
    return module.model.state_dict()


def _set(state: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(value)

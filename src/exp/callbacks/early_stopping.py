"""Stops training when the monitored metric no longer gets better."""

from typing import Any

import lightning.pytorch as pl

from exp.tasks.base import trained


class EarlyStopping(pl.Callback):
    """Stops after ``patience`` epochs in a row that bring nothing better than the best one before.

    All ranks see the same metric and so stop together. What was counted goes into the checkpoint.

    Args:
        patience: Epochs without a better value.
        monitor: The metric.
        mode: ``max`` or ``min``.
    """

    def __init__(self, *, patience: int, monitor: str, mode: str) -> None:
        self.patience = patience
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.best: float | None = None
        self.waited = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed between its last epoch and its test trains no further."""
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares the epoch with the best one."""
        task = trained(pl_module)
        value = self.sign * task.latest[task.eval_split][self.monitor]
        if self.best is None or value > self.best:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps what was counted."""
        checkpoint["early_stopping"] = {"best": self.best, "waited": self.waited}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Goes on counting."""
        self.best, self.waited = (checkpoint["early_stopping"][name] for name in ("best", "waited"))

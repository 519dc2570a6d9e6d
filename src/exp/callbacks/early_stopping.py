"""Lightning's early stopping, made exact for runs that are gone on with."""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping


class ResumableEarlyStopping(EarlyStopping):
    """Stops after ``patience`` validations in a row that bring nothing better than the best one before.

    It is Lightning's callback, whose counts go into the checkpoint. Lightning does not keep that it has stopped, so a
    run killed between its last epoch and its test would train for another epoch; this one does not.

    Args:
        patience: Validations without a better value.
        monitor: The metric as it is logged, such as ``val/top1``.
        mode: ``max`` or ``min``.
    """

    def __init__(self, *, patience: int, monitor: str, mode: str) -> None:
        # A metric that is NaN counts as no better; training that diverges is ended by the loss.
        super().__init__(monitor, patience=patience, mode=mode, check_finite=False, check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops a run that had stopped before."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience

"""What the engine does while an unchanged LightningModule trains: seeds, books, and losses that are not finite."""

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from exp.data.placed import seed_all
from exp.tasks.adopted import Adopted
from exp.tasks.base import Diverged, stable_seed


class Books(pl.Callback):
    """Keeps an adopted module's books; has to come before the callbacks that read them.

    Args:
        adopted: The module's.
    """

    def __init__(self, adopted: Adopted) -> None:
        self.adopted = adopted
        self._logged_in_training: set[str] = set()
        self._logged_in_validation: set[str] = set()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells the loader which epoch comes."""
        self.adopted.train_loader.set_position(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds what the step draws by its place, so that a resumed run draws what an uninterrupted one does."""
        self._seed(trainer, 0, batch_idx)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds the loss to the books.

        Raises:
            Diverged: The loss is not finite.
        """
        self.adopted.samples_seen += _size(batch)
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            return
        value = float(loss) * trainer.accumulate_grad_batches  # Lightning has divided it
        if not math.isfinite(value):
            place = f"optimizer step {trainer.global_step}, epoch {trainer.current_epoch}, batch {batch_idx}"
            raise Diverged(f"the training loss is {value} at {place}")
        self.adopted.loss_sum += torch.tensor([value, 1.0], dtype=torch.float64)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Notes what was logged before, which is training's."""
        self._logged_in_training = set(trainer.callback_metrics) - self._logged_in_validation

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Seeds what the step draws."""
        self._seed(trainer, 1, batch_idx)

    def on_test_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Seeds what the step draws."""
        self._seed(trainer, 2, batch_idx)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps what the validation logged."""
        logged = _numbers(trainer.callback_metrics)
        self._logged_in_validation = set(logged) - self._logged_in_training
        self.adopted.latest["val"] = {name: logged[name] for name in logged if name in self._logged_in_validation}
        if not self.adopted.has_test():
            self.adopted.latest["test"] = self.adopted.latest["val"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps what training logged."""
        logged = _numbers(trainer.callback_metrics)
        kept = {name: value for name, value in logged.items() if name not in self._logged_in_validation}
        self.adopted.train_scores = {
            name: value for name, value in kept.items() if name not in ("loss", "lr", "seconds")
        }

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps what the test logged."""
        self.adopted.latest["test"] = _numbers(trainer.callback_metrics)

    def _seed(self, trainer: pl.Trainer, stage: int, batch_idx: int) -> None:
        seed_all(stable_seed(self.adopted.config.seed, trainer.current_epoch, batch_idx, trainer.global_rank, stage))


def _numbers(logged: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in logged.items()}


def _size(batch: Any) -> int:
    """Returns the number of samples of a batch: the length of the first tensor in it."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.dim() else 1
    inner = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (list, tuple)) else ()
    return next((size for size in map(_size, inner) if size), 0)

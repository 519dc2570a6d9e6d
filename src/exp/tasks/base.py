"""What every task shares: per-step seeding, loss bookkeeping, evaluation, optimizer."""

import abc
import hashlib
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from exp.data.epoch import Batch
from exp.options.config import Config
from exp.tasks.optim import build_optimizer, build_schedule


class Diverged(Exception):
    """The training loss is not finite; the message names step and batch."""


class Scores(Protocol):
    """Sums over an evaluation, kept on the device."""

    @property
    def sums(self) -> Tensor:
        """What is added over the ranks before ``compute``."""
        ...

    def compute(self) -> dict[str, float]:
        """The metrics by name."""
        ...


class Loader(Protocol):
    """Batches of one split, resumable at any micro-batch."""

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Where the next iteration begins."""
        ...

    def __len__(self) -> int: ...


def stable_seed(*parts: int) -> int:
    """A seed from several numbers, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


class Trained(Protocol):
    """What callbacks need of what is trained: a task written for exp, or the books of an unchanged LightningModule."""

    config: Config
    latest: dict[str, dict[str, float]]
    samples_seen: int
    resumable: bool
    """Whether training can go on in the middle of an epoch."""

    @property
    def train_loader(self) -> Any:
        """Has ``set_position``."""
        ...

    @property
    def eval_split(self) -> str:
        """The part on which the best epoch is chosen."""
        ...

    def take_train_loss(self) -> Tensor:
        """(2,) sum of losses and number of samples since the last call, on this rank."""
        ...

    def take_train_scores(self) -> dict[str, float]:
        """Further scores of the epoch's training batches."""
        ...


def trained(module: pl.LightningModule) -> Trained:
    """Returns the task that a module is, or the books that it was adopted with."""
    return module if isinstance(module, Task) else module.__dict__["_exp"]


class Task(pl.LightningModule, abc.ABC):
    """A model with its loss and scores.

    Subclasses build ``model`` and implement ``loader``, ``loss`` and ``score``.

    Args:
        config: The cell's options.
        source: Reader of the data set.
    """

    model: nn.Module
    config: Config
    resumable = True

    def __init__(self, config: Config, source: Any) -> None:
        super().__init__()
        self.config = config
        self.source = source
        self.steps_per_epoch = 0
        self.train_loader: Loader | None = None
        self.samples_seen = 0
        self.latest: dict[str, dict[str, float]] = {}
        self._loss_sum = torch.zeros(2, dtype=torch.float64)
        self._scores: Scores | None = None

    @property
    def lightning(self) -> pl.LightningModule:
        """What the trainer is given."""
        return self

    @abc.abstractmethod
    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the model's inputs for a batch of one, to count its cost."""

    @abc.abstractmethod
    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Loader | None:
        """Batches of ``train``, ``val`` or ``test``; None where the data set has no such part."""

    @abc.abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Mean training loss over the batch's samples, and how many there are."""

    @abc.abstractmethod
    def new_scores(self) -> Scores:
        """Empty sums of an evaluation."""

    @abc.abstractmethod
    def score(self, batch: Any, scores: Any) -> None:
        """Adds a batch to the sums."""

    def take_train_scores(self) -> dict[str, float]:
        """Further scores of the epoch's training batches, over all ranks; called once at its end."""
        return {}

    def extra_costs(self) -> dict[str, float]:
        """What there is to say of the model's cost beside parameters and MACs, by name; nothing as a rule."""
        return {}

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Called once after the test, on rank 0, with the tested weights in place.

        Args:
            folder: The cell's directory, where pictures may be left.
            best: Epoch, value and metrics of the epoch chosen, None where there was none.
            records: The lines of metrics.jsonl.

        Returns:
            What goes into the result besides the metrics.
        """
        return {}

    def configure_optimizers(self) -> Any:
        """Optimizer and a schedule that moves at every step."""
        # In mixed precision Lightning cannot clip for an optimizer that unscales gradients itself, as fused ones do.
        fused = self.config.trainer.precision == "32-true" or not self.config.optim.clip
        optimizer = build_optimizer(self.model, self.config.optim, fused=fused)
        schedule = build_schedule(
            optimizer,
            self.config.optim,
            steps_per_epoch=self.steps_per_epoch,
            max_epochs=self.config.trainer.max_epochs,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Puts the loss sums where the losses are."""
        self._loss_sum = self._loss_sum.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Tells the loader which epoch comes."""
        assert self.train_loader is not None
        self.train_loader.set_position(self.current_epoch)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seeds dropout and the like by position, so that a resumed run draws what an uninterrupted one does."""
        torch.manual_seed(stable_seed(self.config.seed, self.current_epoch, batch_idx, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One micro-batch; the loss is weighted so that ranks and micro-batches average to the whole batch.

        Raises:
            Diverged: The loss is not finite.
        """
        loss, count = self.loss(batch)
        self.samples_seen += count
        value = loss.detach()
        if not torch.isfinite(value):
            raise Diverged(
                f"the training loss is {value.item()} at optimizer step {self.global_step}, epoch {self.current_epoch},"
                f" batch {batch_idx}"
            )
        self._loss_sum += torch.stack([value.double() * count, torch.full_like(value, count, dtype=torch.float64)])
        return loss * batch.weight

    def take_train_loss(self) -> Tensor:
        """(2,) sum of losses and number of samples since the last call, on this rank."""
        taken = self._loss_sum.clone()
        self._loss_sum.zero_()
        return taken

    def on_validation_epoch_start(self) -> None:
        """Empties the scores."""
        self._scores = self.new_scores()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Scores a batch."""
        self.score(batch, self._scores)

    def on_validation_epoch_end(self) -> None:
        """Adds the ranks' sums and keeps the metrics under the split's name."""
        self.latest[self.eval_split] = self._finish()

    def on_test_epoch_start(self) -> None:
        """Empties the scores."""
        self._scores = self.new_scores()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Scores a batch."""
        self.score(batch, self._scores)

    def on_test_epoch_end(self) -> None:
        """Adds the ranks' sums and keeps the metrics."""
        self.latest["test"] = self._finish()

    @property
    def eval_split(self) -> str:
        """The part on which the best epoch is chosen."""
        return self.config.task.select

    def _finish(self) -> dict[str, float]:
        assert self._scores is not None
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(self._scores.sums)
        scores, self._scores = self._scores.compute(), None
        return scores

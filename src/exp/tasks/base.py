"""What every task shares: per-step seeding, loss bookkeeping, evaluation, optimizer."""

import abc
import hashlib
import math
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric
from typing_extensions import Self

from exp.data.epoch import Batch
from exp.options.catalog import restored
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.tasks.further import WithFurther, build_further
from exp.tasks.optim import build_optimizer, build_schedule


class Diverged(Exception):
    """The training loss is not finite; the message names step and batch."""


class Loader(Protocol):
    """Batches of one split, resumable at any micro-batch."""

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Where the next iteration begins."""
        ...

    def __len__(self) -> int: ...


CHECK_EVERY = 16
"""Micro-batches after which a GPU's losses are looked at, and steps after which GPUs' ranks ask one another whether to
stop: each waits for the device, which idles meanwhile."""


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
    def model(self) -> nn.Module:
        """The network."""
        ...

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

    def check_losses(self) -> None:
        """Looks at the training losses since the last call; raises ``Diverged`` where one is not finite."""
        ...

    def log_all(self, split: str, values: dict[str, float]) -> None:
        """Logs what the engine has measured."""
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
        self.save_hyperparameters({"config": config.plain()})
        self.config = config
        self.source = source
        self.steps_per_epoch = 0
        self.train_loader: Loader | None = None
        self.samples_seen = 0
        self.latest: dict[str, dict[str, float]] = {}
        self._loss_sum = torch.zeros(2, dtype=torch.float64)
        self._further = build_further(config.task.further, source)
        self._scores: Any = None
        self._unchecked: list[tuple[Tensor, str]] = []

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: Any = None, strict: bool = True
    ) -> Self:
        """Returns the task of a cell's ``best.ckpt`` or ``last.ckpt`` with its weights, as Lightning's method does.

        Args:
            checkpoint_path: The checkpoint. The options in it say what is built.
            map_location: Where the weights go; the CPU where not given.
            strict: Whether the weights have to be exactly those of the model.

        Raises:
            TypeError: It is the checkpoint of another task.
            ConfigError: It was written by another version, whose options are no longer known.
        """
        checkpoint = torch.load(checkpoint_path, map_location=map_location or "cpu", weights_only=True)
        config = restored(checkpoint[cls.CHECKPOINT_HYPER_PARAMS_KEY]["config"])
        kind = config.task.builder()
        if not issubclass(kind, cls):
            raise TypeError(f"{checkpoint_path}: a checkpoint of {kind.__name__}, not of {cls.__name__}")
        task: Self = kind(config, config.data.reader())
        task.load_state_dict(checkpoint["state_dict"], strict=strict)
        return task if map_location is None else task.to(map_location)

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
    def new_scores(self) -> Metric:
        """Returns an empty metric for an evaluation; its ``compute`` returns the scores of all ranks by name."""

    @abc.abstractmethod
    def score(self, batch: Any, scores: Any) -> None:
        """Adds a batch to the metric that ``new_scores`` returned."""

    def judged(self, scores: dict[str, float], split: str) -> dict[str, float]:
        """Returns the scores of an evaluation, with what there is to add to them; they are logged as ``split/name``."""
        return scores

    def take_train_scores(self) -> dict[str, float]:
        """Further scores of the epoch's training batches, over all ranks; called once at its end."""
        return {}

    @property
    def micro_batch(self) -> int:
        """Samples of a forward pass in training, on one device."""
        options: Any = self.config.data
        return -(-int(options.batch_size) // (self.config.trainer.devices * self.config.trainer.accumulate))

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

    @property
    def fuses_optimizer(self) -> bool:
        """Whether the optimizer is one kernel for all parameters."""
        # In mixed precision Lightning cannot clip for an optimizer that unscales gradients itself, as fused ones do.
        return self.config.trainer.precision == "32-true" or not self.config.optim.clip

    def configure_optimizers(self) -> Any:
        """Optimizer and a schedule that moves at every step."""
        optimizer = build_optimizer(self.model, self.config.optim, fused=self.fuses_optimizer)
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
        place = f"optimizer step {self.global_step}, epoch {self.current_epoch}, batch {batch_idx}"
        self._unchecked.append((value, place))
        if value.is_cpu or len(self._unchecked) >= CHECK_EVERY:
            self.check_losses()
        self._loss_sum += torch.stack([value.double() * count, torch.full_like(value, count, dtype=torch.float64)])
        return loss * batch.weight

    def check_losses(self) -> None:
        """Looks at the training losses since the last call, all in one wait for the device.

        Raises:
            Diverged: One is not finite; the first of them is named.
        """
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked:
            return
        values = torch.stack([value for value, _ in unchecked]).tolist()
        for value, (_, place) in zip(values, unchecked, strict=True):
            if not math.isfinite(value):
                raise Diverged(f"the training loss is {value} at {place}")

    def take_train_loss(self) -> Tensor:
        """(2,) sum of losses and number of samples since the last call, on this rank."""
        taken = self._loss_sum.clone()
        self._loss_sum.zero_()
        return taken

    def on_validation_epoch_start(self) -> None:
        """Empties the scores."""
        self._scores = self._empty_scores()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Scores a batch."""
        self.score(batch, self._scores)

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of all ranks as ``val/NAME`` (or ``test/NAME``, where the epoch is chosen on the test)."""
        self._log_scores(self.eval_split)

    def on_test_epoch_start(self) -> None:
        """Empties the scores."""
        self._scores = self._empty_scores()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Scores a batch."""
        self.score(batch, self._scores)

    def on_test_epoch_end(self) -> None:
        """Logs the scores of all ranks as ``test/NAME``."""
        self._log_scores("test")

    @property
    def eval_split(self) -> str:
        """The part on which the best epoch is chosen."""
        return self.config.task.select

    def _empty_scores(self) -> Any:
        own = self.new_scores().to(self.device)
        if missing := [name for name in self.config.task.further if name not in self._further]:
            raise ConfigError(f"metrics={missing[0]}: is of a plug-in that is not active, so it cannot be measured")
        return WithFurther(own, self._further) if self._further else own

    def _log_scores(self, split: str) -> None:
        assert self._scores is not None
        scores = {name: float(value) for name, value in self._scores.compute().items()}
        self._scores = None
        self.latest[split] = self.judged(scores, split)
        self.log_all(split, self.latest[split])

    def log_all(self, split: str, values: dict[str, float]) -> None:
        """Logs numbers that all ranks agree on as ``split/name``, in float64."""
        for name, value in values.items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64, device=self.device))

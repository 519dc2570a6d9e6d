"""Writes metrics and status while a cell trains."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch

from exp.cells.machine import resident_bytes
from exp.cells.metrics_file import MetricsFile
from exp.cells.terminal import duration
from exp.tasks.base import trained

Report = Callable[[dict[str, Any]], None]
"""Takes how far a cell is: epoch, max_epochs, batch, batches, and the last metrics; ``evaluating``, a line."""

REPORT_SECONDS = 0.5


class LastAlarm(logging.Handler):
    """Keeps the last warning that the code of a run has logged about itself.

    Attributes:
        text: The warning in one line; empty where there was none.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the message, and prints it where logging would have without this handler."""
        self.text = " ".join(record.getMessage().split())
        if not logging.getLogger().handlers and logging.lastResort is not None:
            logging.lastResort.handle(record)


class Recorder(pl.Callback):
    """Metrics at the end of each epoch and every ``log_every`` steps; progress about twice a second.

    Args:
        metrics: Where the lines go.
        log_every: Optimizer steps between two lines within an epoch.
        report: Told of progress; on rank 0 only.
    """

    def __init__(self, metrics: MetricsFile, *, log_every: int, report: Report) -> None:
        self.metrics = metrics
        self.log_every = log_every
        self.report = report
        self._reported = 0.0
        self._batch = 0
        self._evaluated = 0
        self._evaluation_started = 0.0
        self._epoch_started = 0.0
        self._epoch_loss = torch.zeros(2, dtype=torch.float64)
        self._line_loss = torch.zeros(2, dtype=torch.float64)
        self._scores: dict[str, float] = {}
        self._lr = 0.0
        self._speed = 0.0
        self._seen_before = 0
        self._device = ""
        self._alarm = LastAlarm()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listens to what the run says about itself."""
        logging.getLogger("exp").addHandler(self._alarm)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listens no more."""
        logging.getLogger("exp").removeHandler(self._alarm)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Listens no more; Lightning calls no ``teardown`` after an exception."""
        logging.getLogger("exp").removeHandler(self._alarm)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forgets what a resumed run will measure again."""
        if trainer.is_global_zero:
            self.metrics.rewind(trainer.global_step)
        device = pl_module.device
        self._device = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        self._start_clock(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the epoch's clock."""
        self._start_clock(pl_module)

    def _start_clock(self, pl_module: pl.LightningModule) -> None:
        self._epoch_started = time.monotonic()
        self._seen_before = trained(pl_module).samples_seen

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Notes the rate that the step is made with, before the schedule moves on."""
        self._lr = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Writes the mean loss since the last line where one is due."""
        seconds = max(time.monotonic() - self._epoch_started, 1e-9)
        self._speed = (trained(pl_module).samples_seen - self._seen_before) * trainer.world_size / seconds
        boundary = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        last = batch_idx + 1 >= trainer.num_training_batches
        if boundary and not last and trainer.global_step % self.log_every == 0:
            self._take(trainer, pl_module)
            loss = float(self._line_loss[0] / self._line_loss[1].clamp(min=1))
            self._line_loss.zero_()
            trained(pl_module).log_all("step", {"loss": loss, "lr": self._lr})
            if trainer.is_global_zero:
                self.metrics.write(
                    split="step", epoch=trainer.current_epoch, step=trainer.global_step, loss=loss, lr=self._lr
                )
        self._batch = 0 if last else batch_idx + 1
        if trainer.is_global_zero and time.monotonic() - self._reported >= REPORT_SECONDS:
            self._tell(trainer, batch_idx + 1)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the evaluation's clock."""
        self._evaluated, self._evaluation_started = 0, time.monotonic()

    on_test_start = on_validation_start

    def on_validation_batch_end(self, trainer: pl.Trainer, *given: Any) -> None:
        """Says how far the validation is."""
        self._evaluate(trainer, "validating", sum(trainer.num_val_batches))

    def on_test_batch_end(self, trainer: pl.Trainer, *given: Any) -> None:
        """Says how far the test is."""
        self._evaluate(trainer, "testing", sum(trainer.num_test_batches))

    def _evaluate(self, trainer: pl.Trainer, what: str, total: float) -> None:
        self._evaluated += 1
        now, done = time.monotonic(), self._evaluated
        if not trainer.is_global_zero or now - self._reported < REPORT_SECONDS:
            return
        line = f"{what} {done:,}"
        if math.isfinite(total):  # a stream has no length
            left = (now - self._evaluation_started) / done * (total - done)
            line = f"{line} of {int(total):,}, {duration(left)} left"
        self._tell(trainer, self._batch, evaluating=line)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the scores of the epoch."""
        task = trained(pl_module)
        self._scores = task.latest[task.eval_split]
        if trainer.is_global_zero:
            self.metrics.write(
                split=task.eval_split, epoch=trainer.current_epoch, step=trainer.global_step, **self._scores
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the epoch's mean training loss."""
        self._take(trainer, pl_module)
        further = trained(pl_module).take_train_scores()
        total, count = self._epoch_loss.tolist()
        self._epoch_loss.zero_()
        self._line_loss.zero_()
        measured = {"loss": total / max(count, 1), **further, "lr": self._lr}
        trained(pl_module).log_all("train", measured)
        if trainer.is_global_zero:
            self._scores = self._scores | {"train_loss": measured["loss"]}
            self.metrics.write(
                split="train",
                epoch=trainer.current_epoch,
                step=trainer.global_step,
                **measured,
                seconds=round(time.monotonic() - self._epoch_started, 3),
            )
            self._tell(trainer, _batches(trainer), epoch_done=True)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps the loss of an epoch, and of a line, that is not over."""
        self._take(trainer, pl_module)
        checkpoint["epoch_loss"] = self._epoch_loss.tolist()
        checkpoint["line_loss"] = self._line_loss.tolist()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Goes on adding to it."""
        self._epoch_loss = torch.tensor(checkpoint["epoch_loss"], dtype=torch.float64)
        self._line_loss = torch.tensor(checkpoint["line_loss"], dtype=torch.float64)

    def _take(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the losses of all ranks since the last call to those of the epoch and of the line."""
        taken = trained(pl_module).take_train_loss()
        if trainer.world_size > 1:
            torch.distributed.all_reduce(taken)
        taken = taken.cpu()
        self._epoch_loss += taken
        self._line_loss += taken

    def _tell(self, trainer: pl.Trainer, batch: int, *, epoch_done: bool = False, evaluating: str = "") -> None:
        self._reported = time.monotonic()
        task = trained(trainer.lightning_module)
        self.report(
            {
                "epoch": trainer.current_epoch + int(epoch_done),
                "max_epochs": trainer.max_epochs,
                "batch": 0 if epoch_done else batch,
                "batches": _batches(trainer),
                "metrics": task.config.task.shown(self._scores),
                "samples_per_second": round(self._speed, 1),
                "device": self._device,
                "memory_bytes": _memory_bytes(trainer.lightning_module.device),
                "alarm": self._alarm.text,
                "evaluating": evaluating,
                "epoch_done": epoch_done,
            }
        )


def _memory_bytes(device: torch.device) -> int:
    """Returns the memory this process holds: of the GPU what torch's allocator has, on a CPU its resident pages."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else resident_bytes()


def _batches(trainer: pl.Trainer) -> int:
    """Returns the micro-batches of an epoch, 0 where the data is a stream without a length."""
    return int(trainer.num_training_batches) if math.isfinite(trainer.num_training_batches) else 0

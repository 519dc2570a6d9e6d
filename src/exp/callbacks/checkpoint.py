"""What a cell keeps while it trains, so that it goes on exactly where it was stopped.

``last.ckpt`` is Lightning's checkpoint plus the place in the data, see ``exp.callbacks.generations``; ``best.ckpt``
holds the weights of the best epoch. Saves happen between two optimizer steps or at the end of an epoch, never inside
one.
"""

import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch

from exp.callbacks.generations import drop_unfinished, put_last
from exp.cells.cell import LAST
from exp.cells.files import replace_whole, sync
from exp.cells.provenance import code_in_use, note_code, together
from exp.options.catalog import METRICS
from exp.options.errors import ConfigError, nearest
from exp.tasks.base import CHECK_EVERY, trained


class Interrupted(Exception):
    """The run was asked to stop and has saved what it needs to go on."""


class LockLost(Exception):
    """Another process has taken the cell over."""


class Keeper(pl.Callback):
    """Saves checkpoints and stops when told to.

    Args:
        folder: The cell's directory.
        save_every: Seconds between two saves; 0 saves at the end of training only.
        monitor: Metric of the best epoch.
        mode: ``max`` or ``min``.
        max_steps: Optimizer steps after which training ends with a validation; -1 sets no limit.
        max_seconds: Seconds of training after which it does, by the clock of rank 0.
        held: Whether the cell's lock is still ours.

    Attributes:
        last_is_good: Whether the ``last.ckpt`` on disk can be gone on from.
    """

    def __init__(
        self,
        folder: Path,
        *,
        save_every: float,
        monitor: str,
        mode: str,
        max_steps: int = -1,
        max_seconds: float = math.inf,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder
        self.save_every = save_every
        self.monitor = monitor
        self.max_steps = max_steps
        self.max_seconds = max_seconds
        self.sign = 1 if mode == "max" else -1
        self.held = held
        self.best: dict[str, Any] | None = None
        self.last_is_good = False
        self.seconds = 0.0
        self._code: dict[str, str] = {}
        self._started = self._saved = time.monotonic()
        self._position = {"epoch": 0, "start": 0}
        self._stop = False
        self._soon = False
        self._handlers: dict[int, Any] = {}
        self._names: tuple[list[str] | None] | None = None

    @property
    def train_seconds(self) -> float:
        """Wall time of training so far, interruptions left out."""
        return self.seconds + time.monotonic() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over SIGTERM, SIGINT and SIGUSR2: the first asks for a save and a stop.

        A run that was killed between its last step and its test trains no further.

        Where a queue warns by SIGUSR2 and starts the job again, its SIGTERM asks for a save alone: a job that ends by
        itself would not be started again. Ranks above 0 hear of it from rank 0 and ignore the signals, which Lightning
        would answer with a collective.
        """
        note_code()
        self._started = self._saved = time.monotonic()
        self._limit(trainer, pl_module)
        if trainer.is_global_zero:
            drop_unfinished(self.folder)
        handler = self._on_signal if trainer.is_global_zero else signal.SIG_IGN
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGTERM and callable(self._handlers[signal.SIGUSR2]):
            self._soon = True
        else:
            self._stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Gives the signals back."""
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Gives the signals back."""
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves or stops where an optimizer step has just been made."""
        last = batch_idx + 1 >= trainer.num_training_batches
        if not last and (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        # A run gone on with from before a validation would leave it out, so nothing is saved there.
        if self._limit(trainer, pl_module) or last or _validates(trainer, batch_idx):
            return
        if trainer.world_size > 1 and pl_module.device.type == "cuda" and trainer.global_step % CHECK_EVERY:
            return  # ranks agree by a wait for the device
        stop, due = self._agree(trainer, pl_module)
        if (stop or due) and trained(pl_module).resumable:
            self._save(trainer, epoch=trainer.current_epoch, start=batch_idx + 1)
        if stop:
            raise Interrupted(f"stopped in epoch {trainer.current_epoch} after batch {batch_idx}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the weights of a better epoch."""
        task = trained(pl_module)
        metrics = task.latest[task.eval_split]
        if self.monitor not in metrics:
            known = f"{', '.join(metrics) or 'none'}{nearest(self.monitor, metrics)}"
            raise ConfigError(f"the best epoch is chosen by {self.monitor}, which was not logged; logged: {known}")
        value = metrics[self.monitor]
        better = self.best is None or self.sign * value > self.sign * self.best["value"]
        if not better or math.isnan(value):
            return
        self.best = {"epoch": trainer.current_epoch, "value": value, "metrics": dict(metrics)}
        if trainer.is_global_zero:
            kept = {
                "state_dict": pl_module.state_dict(),
                "best": self.best,
                "classes": self._classes(pl_module),
                "hyper_parameters": dict(pl_module.hparams),
                "pytorch-lightning_version": pl.__version__,
            }
            with replace_whole(self.folder / "best.ckpt") as fresh:
                torch.save(kept, fresh)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves at an epoch's end if it is time, it is the last, or a stop was asked for."""
        stop, due = self._agree(trainer, pl_module)
        self._limit(trainer, pl_module)
        done = trainer.should_stop or trainer.current_epoch + 1 >= (trainer.max_epochs or 0)
        if stop or due or done or not trained(pl_module).resumable:
            self._save(trainer, epoch=trainer.current_epoch + 1, start=0)
        if stop and not done:
            raise Interrupted(f"stopped after epoch {trainer.current_epoch}")

    def _limit(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> bool:
        """Ends the training where its steps or its time are used up, and returns whether they are."""
        over = 0 <= self.max_steps <= trainer.global_step
        if self.max_seconds < math.inf and (trainer.world_size == 1 or trainer.global_step % CHECK_EVERY == 0):
            over = trainer.strategy.broadcast(over or self.train_seconds >= self.max_seconds)
        trainer.should_stop = trainer.should_stop or over
        return over

    def _agree(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> tuple[bool, bool]:
        """Whether any rank was told to stop, and whether a save is due by rank 0's clock."""
        due = self._soon or (0 < self.save_every <= time.monotonic() - self._saved and trainer.is_global_zero)
        if trainer.world_size == 1:
            return self._stop, due
        flags = torch.tensor([self._stop, due], dtype=torch.int32, device=pl_module.device)
        torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
        stop, due = flags.bool().tolist()
        return stop, due

    def _save(self, trainer: pl.Trainer, *, epoch: int, start: int) -> None:
        if trainer.is_global_zero and not self.held():
            raise LockLost("another process has taken this cell over; this one stops")
        trained(trainer.lightning_module).check_losses()
        self._position = {"epoch": epoch, "start": start}
        if trainer.is_global_zero:
            if (self.folder / "metrics.jsonl").exists():
                sync(self.folder / "metrics.jsonl")  # what was measured up to here is not measured again
            put_last(self.folder, trainer.save_checkpoint, keep=self.last_is_good)
            self.last_is_good = True
        else:
            trainer.save_checkpoint(self.folder / LAST)  # collects the ranks' states; rank 0 alone writes
        self._saved = time.monotonic()
        self._soon = False

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the place in the data and the counters."""
        seen = torch.tensor(trained(pl_module).samples_seen, dtype=torch.int64, device=pl_module.device)
        if trainer.world_size > 1:
            torch.distributed.all_reduce(seen)
        checkpoint["exp"] = {
            "position": self._position,
            "step": trainer.global_step,
            "best": self.best,
            "samples_seen": int(seen),
            "seconds": self.train_seconds,
            "code": self.code_of(pl_module),
        }
        checkpoint["classes"] = self._classes(pl_module)

    def code_of(self, module: pl.LightningModule) -> dict[str, str]:
        """Returns hashes of the modules whose code has made the weights so far, by name, in all attempts."""
        config = trained(module).config
        parts = [config.task, config.model, config.att, config.data]
        chosen = [*map(type, parts), *(METRICS[name] for name in config.task.further)]
        return together(self._code, code_in_use(config.task.name, [part.__module__ for part in chosen]))

    def _classes(self, module: pl.LightningModule) -> list[str] | None:
        """Returns the classes' names, so that predicting with a checkpoint needs no data; None where there are none."""
        if self._names is None:
            self._names = (getattr(getattr(module, "source", None), "class_names", None),)
        return self._names[0]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Puts loader and counters back where they were."""
        task, kept = trained(pl_module), checkpoint["exp"]
        task.train_loader.set_position(**kept["position"])
        self.best = kept["best"]
        task.samples_seen = kept["samples_seen"] if trainer.is_global_zero else 0
        self.seconds = kept["seconds"]
        self._code = kept.get("code", {})  # those of earlier versions have none


def _validates(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Returns whether a validation follows a micro-batch of the epoch."""
    due = (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
    every = trainer.val_check_batch or math.inf
    return trainer.enable_validation and due and (batch_idx + 1) % every == 0

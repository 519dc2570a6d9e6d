"""A few seconds of a cell's training and evaluation, to know what the whole of it will take."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from exp.callbacks.metrics_logger import MetricsLogger
from exp.callbacks.recorder import Recorder
from exp.cells.metrics_file import MetricsFile
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.run.ddp import ALONE
from exp.run.train import build_trainer, device_of, limited, prepared, quiet, steps
from exp.tasks.base import Task

WARM_BATCHES = 2
"""First batches, which take longer than those that follow."""


class Enough(Exception):
    """What was to be measured is measured."""


class Stopwatch(pl.Callback):
    """Times batches and stops once it has seen enough of them.

    Args:
        seconds: How long to measure.
        device: Where the batches are worked on.
    """

    def __init__(self, seconds: float, device: torch.device) -> None:
        self._seconds = seconds
        self._device = device
        self._warm = False
        self._seen = 0
        self._began = time.monotonic()
        self._spent = 0.0

    @property
    def batch_seconds(self) -> float:
        """Mean time of a batch, the warm ones alone where there are some."""
        return self._spent / max(1, self._seen)

    def on_train_batch_end(self, *given: Any) -> None:
        """Counts a batch of training."""
        self._count()

    def on_validation_batch_end(self, *given: Any) -> None:
        """Counts a batch of evaluation."""
        self._count()

    def _count(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._seen += 1
        self._spent = time.monotonic() - self._began
        if self._spent >= self._seconds:
            raise Enough
        if not self._warm and self._seen == WARM_BATCHES:
            self._warm, self._seen, self._began = True, 0, time.monotonic()


def calibrate(config: Config, folder: Path, threads: int, seconds: float) -> dict[str, Any]:
    """Returns what a cell will take by some of its batches.

    Args:
        config: The cell's options.
        folder: A folder for what it writes, which nobody needs afterwards.
        threads: CPU threads.
        seconds: How long to measure training, and half as long evaluation.

    Returns:
        Seconds of its ``start``, of an ``epoch`` with its evaluation and of the ``test``; ``disk_bytes`` of its
        checkpoints.
    """
    quiet()
    torch.set_num_threads(threads)
    began = time.monotonic()
    config = Config(**{**vars(config), "trainer": config.trainer.replaced(devices=1, sync_batchnorm=True)})
    device = device_of(config.trainer, ALONE)
    task = prepared(config, device, ALONE)
    if not isinstance(task, Task):
        raise ConfigError(
            f"task={config.task.name}: what an unchanged LightningModule takes cannot be measured beforehand"
        )
    loaders = {split: task.loader(split, device=device, rank=0, world_size=1) for split in ("train", "val", "test")}
    start = time.monotonic() - began
    evaluated = loaders[task.eval_split] or loaders["test"]
    spent, metrics = {}, MetricsFile(folder / "metrics.jsonl")
    for stage, loader, share in (("fit", loaders["train"], 1.0), ("validate", evaluated, 0.5)):
        watch = Stopwatch(seconds * share, device)
        recorder = Recorder(metrics, log_every=10**9, report=lambda progress: None)
        callbacks: list[pl.Callback] = [recorder, watch] if stage == "fit" else [watch]
        trainer = build_trainer(config, folder, ALONE, device, callbacks, MetricsLogger(metrics, folder, writes=False))
        task.train_loader = loaders["train"]
        task.steps_per_epoch = steps(len(loaders["train"] or ()), config.trainer)
        try:
            trainer.fit(task, loader) if stage == "fit" else trainer.validate(task, loader, verbose=False)
        except Enough:
            pass
        spent[stage] = watch.batch_seconds
    options = config.trainer
    trained = steps(len(loaders["train"] or ()), options) * options.accumulate
    validated = limited(len(evaluated or ()), options.fast_dev_run or options.limit_val_batches)
    tested = limited(len(loaders["test"] or ()), options.fast_dev_run or options.limit_test_batches)
    return {
        "start": start,
        "epoch": trained * spent["fit"] + validated * spent["validate"] / options.check_val_every_n_epoch,
        "test": tested * spent["validate"],
        "disk_bytes": _checkpoints(task, config),
    }


def _checkpoints(task: pl.LightningModule, config: Config) -> int:
    """Returns the size of the checkpoints a done cell keeps: weights, and in the last one the optimizer's state."""
    weights = sum(value.numel() * value.element_size() for value in task.state_dict().values())
    moments = 1 if config.optim.name == "sgd" else 2
    kept = config.cells.keep
    return weights * (("best" in kept) + ("last" in kept) * (1 + moments))

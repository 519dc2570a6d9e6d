"""A training epoch of faces: exp's own run, the way templates write it in Lightning, and a loop written by hand.

``python benchmarks/training.py`` trains net 2 of the facial expression task on drawn faces three ways: a cell of exp;
a LightningModule fed by Pillow and a DataLoader, with torchmetrics and the rate logged at every step, a progress bar
and checkpoints; and a bare PyTorch loop over exp's batches with the same optimizer, layout and order. An epoch is its
steps, its evaluation and its checkpoint; the memory format is what a long run chooses. The loop has to end with exp's
weights; the template, which draws other random numbers, with a loss within a quarter of exp's.
"""

import contextlib
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from exp.cells.metrics_file import read_metrics
from exp.options.compose import resolved
from exp.options.config import Config
from exp.run.ddp import ALONE
from exp.run.layout import choose
from exp.run.train import prepared, quiet, run
from exp.tasks.base import stable_seed
from exp.tasks.build import build_task
from feeding import template
from measure import Row, machine, main

CELL = ["task=fer", "recipe=sound", "data=faces", "data.train=512", "data.held=128", "trainer.ema=0"]
ONE_THREAD = ["trainer.max_epochs=3", "trainer.threads=1", "trainer.accelerator=cpu"]
BARE, TEMPLATE = "a loop by hand", "the template way"


class Clock(pl.Callback):
    """CPU time at the start of each epoch, the mean loss of the last one, and the weights at the end."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.weights: list[Tensor] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Notes the time."""
        self.starts.append(time.process_time())

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keeps the weights."""
        self.weights = [parameter.detach().clone() for parameter in module.parameters()]

    @property
    def epoch(self) -> float:
        """CPU seconds of the second epoch."""
        return self.starts[2] - self.starts[1]


def ours(config: Config) -> tuple[float, float, list[Tensor]]:
    """Returns CPU seconds of the second epoch, loss of the last, and the final weights."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run(config, Path(folder), threads=1, views=[clock])
        losses = [line["loss"] for line in read_metrics(Path(folder) / "metrics.jsonl") if line["split"] == "train"]
    return clock.epoch, losses[-1], clock.weights


def as_a_long_run(config: Config) -> Config:
    """Returns the options with what a run of the usual length would choose by measurement."""
    device = torch.device("cpu")
    task: Any = prepared(config, device, ALONE)
    loader = task.loader("train", device=device, rank=0, world_size=1)
    with tempfile.TemporaryDirectory() as folder:
        return choose(task, loader, Path(folder), device, batches=20_000, leads=True).settle(config)


def by_hand(config: Config) -> tuple[float, float, list[Tensor]]:
    """The same of a plain loop."""
    device = torch.device("cpu")
    task: Any = prepared(config, device, ALONE)
    train, held = (task.loader(split, device=device, rank=0, world_size=1) for split in ("train", "val"))
    task.steps_per_epoch = len(train)
    made = task.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    model, starts, loss_sum, count = task.model, [], 0.0, 0
    layout = torch.channels_last if config.trainer.channels_last else torch.contiguous_format
    for epoch in range(3):
        starts.append(time.process_time())
        model.train()
        train.set_position(epoch)
        loss_sum, count = 0.0, 0
        for index, batch in enumerate(train):
            torch.manual_seed(stable_seed(config.seed, epoch, index, 0))
            with torch.autocast("cpu", torch.bfloat16, enabled=config.trainer.precision == "bf16-mixed"):
                logits = model(batch.images.contiguous(memory_format=layout))
                loss = F.cross_entropy(logits, batch.labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
            optimizer.step()
            schedule.step()
            loss_sum, count = loss_sum + loss.item() * len(logits), count + len(logits)
        model.eval()
        confusion = torch.zeros(49, dtype=torch.long)
        with torch.inference_mode():
            for batch in held:
                answers = model(batch.images.contiguous(memory_format=layout)).argmax(1)
                confusion += torch.bincount(batch.labels * 7 + answers, minlength=49)
    return starts[2] - starts[1], loss_sum / count, [parameter.detach().clone() for parameter in model.parameters()]


class Template(pl.LightningModule):
    """A classifier as templates write it: metric objects for each part, all of them logged."""

    def __init__(self, model: torch.nn.Module, epochs: int, steps: int) -> None:
        super().__init__()
        self.model, self.steps = model, epochs * steps
        scores = MetricCollection({"acc": MulticlassAccuracy(7), "f1": MulticlassF1Score(7)})
        self.train_scores, self.val_scores = scores.clone(prefix="train/"), scores.clone(prefix="val/")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch, and scores."""
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y, label_smoothing=0.1)
        self.train_scores(logits, y)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log_dict(self.train_scores, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The scores of a batch."""
        x, y = batch
        logits = self.model(x)
        self.val_scores(logits, y)
        self.log("val/loss", F.cross_entropy(logits, y), prog_bar=True)
        self.log_dict(self.val_scores)

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def as_templates(config: Config) -> tuple[float, float, list[Tensor]]:
    """The same of a template, in float32 and NCHW."""
    task: Any = build_task(config)
    data = config.data
    how = {name: getattr(data, name) for name in ("crop", "flip", "rotate", "erase", "mean", "std")}
    still = {name: how[name] for name in ("mean", "std")}
    parts = task.splits
    train = template(parts["train"].images, parts["train"].labels, how)
    held = template(parts["val"].images, parts["val"].labels, still, shuffle=False)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=3,
            gradient_clip_val=1.0,
            log_every_n_steps=1,
            logger=CSVLogger(folder),
            callbacks=[clock, ModelCheckpoint(folder, save_last=True), LearningRateMonitor(), TQDMProgressBar()],
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.fit(Template(task.model, 3, len(train)), train, held)
    return clock.epoch, float(trainer.callback_metrics["train/loss_epoch"]), clock.weights


def rows() -> Iterator[Row]:
    """Measures."""
    quiet()
    torch.set_num_threads(1)
    kinds = [("fp32", "32-true", 1 / 1.45)]
    if "bf16" in machine()["units"]:
        kinds.append(("bf16", "bf16-mixed", 1 / 2.6))
    for kind, precision, limit in kinds:
        config = as_a_long_run(resolved([*CELL, *ONE_THREAD, f"trainer.precision={precision}"]).config)
        name = f"{kind}, channels_last" if config.trainer.channels_last else kind
        turns = [{"ours": ours(config), TEMPLATE: as_templates(config), BARE: by_hand(config)} for _ in range(3)]
        (_, loss, weights), (_, other, _) = turns[0]["ours"], turns[0][TEMPLATE]
        same = all(torch.allclose(a, b, atol=1e-5) for a, b in zip(weights, turns[0][BARE][2], strict=True))
        for against, most, equal in ((TEMPLATE, limit, abs(other / loss - 1) < 0.25), (BARE, 1.05, same)):
            ratio = statistics.median(turn["ours"][0] / turn[against][0] for turn in turns)
            mine, theirs = (statistics.median(turn[way][0] for turn in turns) for way in ("ours", against))
            detail = f"{mine:.2f} : {theirs:.2f} s"
            yield Row(f"an epoch of faces, {name}", against, "CPU time", round(ratio, 3), round(most, 3), equal, detail)


if __name__ == "__main__":
    main(rows, __doc__)

"""``att.record=true``: numbers of gates and routers in metrics.jsonl, and a picture of what attention does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

from exp.callbacks.gates import GateRecorder
from exp.tasks.attention_maps import attention_maps, draw
from exp.tasks.base import Task
from exp.tasks.build import attention_class
from exp.tasks.images import ImageTask

SPLIT = "gates"
"""Name of the lines in metrics.jsonl after a validation; after the test, with _test."""
PICTURE = "attention.png"
"""Name of the picture in the cell."""
SHOWN = 4
"""Images in it."""


class GateRecord(pl.Callback):
    """Watches a task's model while it is evaluated; on several devices, rank 0's share.

    Args:
        write: Takes ``split``, ``epoch``, ``step`` and the numbers.
    """

    def __init__(self, write: Callable[..., None]) -> None:
        self.write = write
        self.result: dict[str, Any] = {}
        self._gates: GateRecorder | None = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts watching."""
        self._start(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes a line."""
        self._stop(trainer, SPLIT)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts watching."""
        self._start(trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes a line, and keeps what goes into the result."""
        gates = self._gates
        self._stop(trainer, f"{SPLIT}_test")
        if gates is not None:
            histograms = {name: [int(count) for count in sums.histogram] for name, sums in gates.sums.items()}
            self.result = {"gates": {**gates.summary(), "alarms": gates.alarms(), "histograms": histograms}}
            for alarm in self.result["gates"]["alarms"]:
                print(f"attention: {alarm}", flush=True)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leaves no hook behind."""
        if self._gates is not None:
            self._gates.eject()

    def _start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Task)
        self._gates = GateRecorder(module.model) if trainer.is_global_zero else None

    def _stop(self, trainer: pl.Trainer, split: str) -> None:
        if self._gates is None:
            return
        self._gates.eject()
        self.write(split=split, epoch=trainer.current_epoch, step=trainer.global_step, **self._gates.numbers())
        self._gates = None


def record_maps(task: Any, folder: Path) -> None:
    """Leaves ``attention.png`` of a few test images, for tasks that classify images."""
    if not isinstance(task, ImageTask) or "test" not in task.splits:
        return
    split = task.splits["test"]
    rows = np.unique(np.linspace(0, len(split) - 1, SHOWN).astype(int))
    pixels, images = task.seen(np.stack([split.images[row] for row in rows]))
    maps = attention_maps(task.model.eval(), images, attention_class(task.config.att))
    names = task.source.class_names or [str(label) for label in range(task.source.num_classes)]
    titles = [_title(names, int(split.labels[row]), int(maps.logits[i].argmax())) for i, row in enumerate(rows)]
    draw(folder / PICTURE, pixels, maps, titles)


def _title(names: Sequence[str], label: int, guess: int) -> str:
    named = [names[number] if number < len(names) else str(number) for number in (label, guess)]
    return named[0] if label == guess else f"{named[0]}, taken for {named[1]}"

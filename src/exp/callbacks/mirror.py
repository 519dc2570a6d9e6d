"""Shows metrics.jsonl elsewhere while a cell trains: W&B, or Lightning's own TensorBoard and CSV loggers."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import lightning.pytorch as pl
from torch import nn

from exp.cells.cell import Cell
from exp.cells.files import read_json
from exp.cells.metrics_file import read_metrics
from exp.tasks.base import trained

CATCH_UP_SECONDS = 5.0
PICTURES = (".png", ".jpg")


class Sink(Protocol):
    """A place where metrics are shown."""

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        """Shows one line of metrics.jsonl.

        Args:
            index: Number of the line.
            values: ``split/name`` to value.
            epoch: Epoch, from 0.
            step: Optimizer steps taken.
        """
        ...

    def watch(self, model: nn.Module) -> None:
        """Follows a model's weights or gradients, where that was asked for."""
        ...

    def close(self, state: str, result: dict[str, Any] | None, pictures: list[Path]) -> None:
        """Ends the view with the state in which the cell is left."""
        ...


class Mirror(pl.Callback):
    """Follows a cell's metrics.jsonl, from its first line, so that a resumed cell is shown whole.

    A context manager around the run: whatever way the cell ends, the view is closed with the state it is left in.

    Args:
        cell: The cell, its directory made.
        command: What the user typed.
    """

    def __init__(self, cell: Cell, command: str) -> None:
        self.cell = cell
        self._command = command
        self._views: dict[str, Sink] = {}
        self._shown = 0
        self._looked = time.monotonic()

    @property
    def callbacks(self) -> list[pl.Callback]:
        """Callbacks for the trainer: this one, where there is a place to show metrics."""
        return [self] if self._views else []

    def __enter__(self) -> "Mirror":
        for name in self.cell.resolved.config.logger.views:
            with self._guarded(name, "be opened"):
                self._views[name] = self._opened(name)
        return self

    @contextmanager
    def _guarded(self, name: str, what: str) -> Iterator[None]:
        """Tells in one line where a view fails and leaves it out from there on, the others as they are.

        Views are other projects' code and servers; one that cannot be had is no reason not to train.
        """
        try:
            yield
        except Exception as error:
            self._views.pop(name, None)
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            logging.getLogger("exp").warning(
                "logger=%s cannot %s (%s); the metrics are in metrics.jsonl", name, what, why
            )

    def _opened(self, name: str) -> Sink:
        if name == "wandb":
            from exp.callbacks.wandb import WandbSink

            return WandbSink(self.cell, self._command, group_of(self.cell, self._command))
        from exp.callbacks.lightning_loggers import LightningSink

        return LightningSink(self.cell, name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._views:
            return
        self.catch_up()
        result = self.cell.result()
        status = read_json(self.cell.path / "status.json") or {}
        state = "done" if result else "failed" if error is not None else status.get("state", "failed")
        pictures = sorted(path for path in self.cell.path.iterdir() if path.suffix in PICTURES) if result else []
        for name, view in list(self._views.items()):
            with self._guarded(name, "be closed"):
                view.close(state, result, pictures)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the views the model."""
        for name, view in list(self._views.items()) if trainer.is_global_zero else ():
            with self._guarded(name, "follow the model"):
                view.watch(trained(pl_module).model)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Shows new lines every few seconds."""
        if trainer.is_global_zero and time.monotonic() - self._looked > CATCH_UP_SECONDS:
            self.catch_up()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the epoch's lines."""
        if trainer.is_global_zero:
            self.catch_up()

    def catch_up(self) -> None:
        """Shows the lines not shown yet."""
        self._looked = time.monotonic()
        records = read_metrics(self.cell.path / "metrics.jsonl")
        for index in range(self._shown, len(records)):
            record = dict(records[index])
            split, epoch, step = record.pop("split"), record.pop("epoch"), record.pop("step")
            record.pop("time", None)
            values = {f"{split}/{name}": value for name, value in record.items() if isinstance(value, (int, float))}
            for name, view in list(self._views.items()):
                with self._guarded(name, "be written to"):
                    view.write(index, values, epoch, step)
        self._shown = max(self._shown, len(records))


def group_of(cell: Cell, command: str) -> str | None:
    """Returns what runs are grouped by: the table, else the sweep that started the cell."""
    table = cell.resolved.config.origin.table
    if table:
        return table
    words = command.split()
    if not {"-m", "--multirun"} & set(words):
        return None
    return f"sweep-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"

"""A Lightning logger that writes what callbacks log to metrics.jsonl, from where every view gets it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from exp.cells.metrics_file import MetricsFile

SPLIT = "callbacks"
"""Split of the lines."""


class MetricsLogger(Logger):
    """Takes what is logged while a cell trains; what the cell writes itself is left out.

    Args:
        metrics: Where the lines go.
        folder: The cell's directory, where callbacks leave their files.
        writes: Whether this process writes; rank 0 alone does.

    Attributes:
        epoch: Returns the epoch at hand, from 0 on.
    """

    def __init__(self, metrics: MetricsFile, folder: Path, *, writes: bool) -> None:
        super().__init__()
        self.epoch: Callable[[], int] = lambda: 0
        self._metrics = metrics
        self._folder = folder
        self._writes = writes

    @property
    def name(self) -> str:
        """No name: callbacks that ask for one leave their files in the cell itself."""
        return ""

    @property
    def version(self) -> str:
        """No version: a cell has one file."""
        return ""

    @property
    def save_dir(self) -> str:
        """The cell's directory."""
        return str(self._folder)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: a cell's options are in config.json."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Writes a line, if there is anything that the cell does not write itself.

        A line counts as written after its optimizer step, so that a resumed run, which makes the step again, drops it.
        """
        own = ("train/", "val/", "test/", "step/", "epoch")
        kept = {name: float(value) for name, value in metrics.items() if not name.startswith(own)}
        if kept and self._writes:
            self._metrics.write(split=SPLIT, epoch=self.epoch(), step=(step or 0) + 1, **kept)

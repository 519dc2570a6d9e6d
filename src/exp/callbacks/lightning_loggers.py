"""Lightning's own TensorBoard and CSV loggers, fed from metrics.jsonl."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn

from exp.cells.cell import Cell
from exp.data.decode import read_colour


class LightningSink:
    """A logger of Lightning's whose files lie in the cell.

    Args:
        cell: The cell.
        name: ``tensorboard`` or ``csv``.
    """

    def __init__(self, cell: Cell, name: str) -> None:
        self._options = cell.resolved.config.plain()
        self._logger: Logger
        if name == "tensorboard":
            self._logger = TensorBoardLogger(str(cell.path), name=name, version="", default_hp_metric=False)
        else:
            self._logger = CSVLogger(str(cell.path), name=name, version="")
            self._logger.log_hyperparams(self._options)

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        """Logs a line of metrics.jsonl."""
        self._logger.log_metrics({**values, "epoch": epoch}, step=step)

    def watch(self, model: nn.Module) -> None:
        """Does nothing: these loggers follow no weights."""

    def close(self, state: str, result: dict[str, Any] | None, pictures: list[Path]) -> None:
        """Writes what is left; to TensorBoard also the options with the test's metrics, and the pictures."""
        if isinstance(self._logger, TensorBoardLogger):
            final = {f"final/{name}": value for name, value in (result or {}).get("test", {}).items()}
            self._logger.log_hyperparams(self._options, final)
            for path in pictures:
                self._logger.experiment.add_image(f"media/{path.stem}", read_colour(path), dataformats="HWC")
        self._logger.save()
        self._logger.finalize("success" if state == "done" else "failed")

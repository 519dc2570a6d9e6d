"""Lightning's own TensorBoard and CSV loggers, fed from metrics.jsonl."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from exp.cells.cell import Cell


class LightningSink:
    """A logger of Lightning's whose files lie in the cell.

    Args:
        cell: The cell.
        name: ``tensorboard`` or ``csv``.
    """

    def __init__(self, cell: Cell, name: str) -> None:
        kind = {"tensorboard": TensorBoardLogger, "csv": CSVLogger}[name]
        self._logger: Logger = kind(str(cell.path), name=name, version="")
        self._logger.log_hyperparams(cell.resolved.config.plain())

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        """Logs a line of metrics.jsonl."""
        self._logger.log_metrics({**values, "epoch": epoch}, step=step)

    def close(self, state: str, result: dict[str, Any] | None, pictures: list[Path]) -> None:
        """Writes what is left."""
        self._logger.save()
        self._logger.finalize("success" if state == "done" else "failed")

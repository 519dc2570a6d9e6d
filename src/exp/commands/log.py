"""``exp log CELL|DIR ... --to wandb|tensorboard|csv``: sends finished cells to a logger not asked for when they ran.

Everything comes from the cells' files: curves, scores, options, pictures. Nothing runs again. Further options are those
of ``logger``, such as ``logger.project=mine``.
"""

import argparse
import dataclasses
from pathlib import Path

from exp.cells.bundle import cells_below
from exp.cells.cell import Cell
from exp.cells.terminal import shown
from exp.cells.unsent import unsent
from exp.options.errors import ConfigError
from exp.options.fields import checked, fields
from exp.options.sections import Logger


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="+", metavar="CELL|DIR|logger.OPTION=VALUE")
    parser.add_argument("--to", required=True, choices=("wandb", "tensorboard", "csv"), help="the logger")


def run(options: argparse.Namespace) -> int:
    """Sends the cells, a line each.

    Raises:
        ConfigError: There is no finished cell, an option is wrong, or the logger is not installed.
    """
    logger = _logger(options.to, [word for word in options.words if "=" in word])
    cells = [cell for word in options.words if "=" not in word for cell in cells_below(Path(word))]
    if not cells:
        raise ConfigError(f"{' '.join(options.words)}: holds no finished cell")
    from exp.callbacks.mirror import Mirror

    for cell in cells:
        config = dataclasses.replace(cell.resolved.config, logger=logger)
        with Mirror(Cell(cell.path, dataclasses.replace(cell.resolved, config=config)), "exp log") as mirror:
            if not mirror.callbacks:
                raise ConfigError(f"--to {options.to}: cannot be opened; see above")
        print(f"{cell.path.name}: sent to {options.to}, {_where(cell, logger)}")
    if line := unsent(cell.path for cell in cells):
        print(line)
    return 0


def _where(cell: Cell, logger: Logger) -> str:
    """Returns where a cell is seen in a logger."""
    if logger.name == "wandb":
        return f"project {'/'.join(filter(None, (logger.entity, logger.project)))}"
    return f"in {shown(cell.path / logger.name)}"


def _logger(name: str, words: list[str]) -> Logger:
    given: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        option = key.removeprefix("logger.")
        if not key.startswith("logger.") or option == "name" or option not in fields(Logger):
            raise ConfigError(f"{word}: not an option of logger; there are {', '.join(fields(Logger))}")
        read: object = (
            value.strip("[]").split(",") if option == "tags" else {"true": True, "false": False}.get(value, value)
        )
        given[option] = checked(Logger, option, read, key)
    return Logger(name=checked(Logger, "name", name, "--to"), **given)  # type: ignore[arg-type]

"""``exp diff CELL CELL``: how two cells differ, in choices and results."""

import argparse
from pathlib import Path
from typing import Any

from exp.cells.cell import Cell
from exp.commands.front import add_format, show
from exp.options.errors import ConfigError

COST = (
    "params",
    "macs",
    "train_seconds",
    "epochs",
    "samples_seen",
    "world_size",
    "threads",
    "device",
    "data_fingerprint",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("cells", nargs=2, metavar="CELL", help="a cell's directory, or the hash at the end of its name")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the differences.

    Raises:
        ConfigError: There is no such cell, or several.
    """
    rows = differing(*(load(word) for word in options.cells))
    value = {key: [first, second] for key, first, second in rows}
    show(value, "\n".join(lines(rows)), options.format)
    return 0


def load(word: str) -> dict[str, Any]:
    """Returns a cell's record by its directory, or by the hash at the end of its name below ``multirun``.

    Raises:
        ConfigError: There is no such cell, or several.
    """
    here = [Path(word)] if Path(word).is_dir() else []
    paths = here or [path for path in sorted(Path("multirun").glob("*/*")) if path.name.endswith(word)]
    if not paths:
        raise ConfigError(f"{word}: no such folder, and no cell below multirun/ has a name that ends so")
    if len(paths) > 1:
        raise ConfigError(f"{word}: {len(paths)} cells have names that end so, such as {paths[0]}; give more of it")
    record = Cell.at(paths[0]).record()
    assert record is not None
    return record


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns what differs between two records and both values: choices first, then results."""
    measured = [
        {f"test.{name}": value for name, value in record.get("test", {}).items()}
        | {name: record[name] for name in COST if name in record}
        for record in (first, second)
    ]
    return _rows(flat(first["config"]), flat(second["config"])) + _rows(*measured)


def lines(rows: list[tuple[str, str, str]]) -> list[str]:
    """Returns the rows in aligned columns."""
    if not rows:
        return ["no difference"]
    width = max(len(row[0]) for row in rows)
    middle = max(len(row[1]) for row in rows)
    return [f"{key:{width}}  {a:{middle}}  {b}" for key, a, b in rows]


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"att": {"name": "ca"}}`` as ``{"att.name": "ca"}``."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str, str]]:
    keys = list(dict.fromkeys([*first, *second]))
    shown = [(key, _text(first.get(key, "-")), _text(second.get(key, "-"))) for key in keys]
    return [row for row in shown if row[1] != row[2]]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)

"""``python -m exp.diff CELL CELL``: how two cells differ in choices and results."""

import sys
from pathlib import Path
from typing import Any

from exp.cell import read_json
from exp.config import ConfigError

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


def main() -> None:
    """Prints the differences."""
    if len(sys.argv) != 3:
        print("usage: python -m exp.diff CELL CELL   (directories, or the hashes at their ends)", file=sys.stderr)
        sys.exit(2)
    try:
        first, second = (load(word) for word in sys.argv[1:])
    except ConfigError as error:
        print(f"exp.diff: {error}", file=sys.stderr)
        sys.exit(2)
    for line in differences(first, second):
        print(line)


def load(word: str) -> dict[str, Any]:
    """A cell's record by its directory, or by the hash at the end of its name below ``multirun``.

    Raises:
        ConfigError: There is no such cell, or several.
    """
    paths = [Path(word)] if Path(word).is_dir() else sorted(Path("multirun").glob(f"*/*{word}"))
    if len(paths) != 1:
        raise ConfigError(f"{word}: {len(paths)} cells of that name; give a cell's directory below multirun/")
    record = read_json(paths[0] / "result.json") or read_json(paths[0] / "config.json")
    if record is None:
        raise ConfigError(f"{word}: holds neither result.json nor config.json, so it is no cell")
    return record


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Lines ``key  first  second``: choices first, then results."""
    rows = _rows(flat(first["config"]), flat(second["config"]))
    measured = [
        {f"test.{name}": value for name, value in record.get("test", {}).items()}
        | {name: record[name] for name in COST if name in record}
        for record in (first, second)
    ]
    results = _rows(*measured)
    if not rows and not results:
        return ["no difference"]
    width = max(len(row[0]) for row in rows + results)
    middle = max(len(row[1]) for row in rows + results)
    return [f"{key:{width}}  {a:{middle}}  {b}" for key, a, b in rows + results]


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"att": {"name": "ca"}}`` as ``{"att.name": "ca"}``."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str, str]]:
    keys = list(dict.fromkeys([*first, *second]))
    shown = [(key, _text(first.get(key, "-")), _text(second.get(key, "-"))) for key in keys]
    return [row for row in shown if row[1] != row[2]]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


if __name__ == "__main__":
    main()

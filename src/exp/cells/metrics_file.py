"""metrics.jsonl: one measurement a line, on disk as soon as it is made. It is the truth; dashboards are views of it."""

import json
import math
import time
from pathlib import Path
from typing import Any

from exp.cells.files import replace_whole


class MetricsFile:
    """Appends lines to a cell's ``metrics.jsonl``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Drops what was measured after optimizer step ``step``, which a resumed run measures again."""
        if not self.path.exists():
            return
        kept = [line for line in self.path.read_text().splitlines(keepends=True) if _step(line) <= step]
        with replace_whole(self.path) as fresh:
            fresh.write_text("".join(kept))

    def write(self, *, split: str, epoch: int, step: int, **metrics: float) -> None:
        """Adds a line; numbers that are not finite become null."""
        record: dict[str, Any] = {"split": split, "epoch": epoch, "step": step, "time": round(time.time(), 3)}
        record |= {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")


def _step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return math.inf


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a ``metrics.jsonl``; a last line cut short by a kill is left out."""
    records = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    return records

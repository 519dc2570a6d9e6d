"""A cell's metrics.jsonl, read on from where the last look ended."""

import json
import os
from pathlib import Path
from typing import Any, TypeGuard

Point = tuple[float, float]

EVALUATION = ("val", "test")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value from a file is a number that can be drawn and added up."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


class MetricsTail:
    """The lines of a ``metrics.jsonl`` that are whole; a line that is still being written waits for the next look.

    Args:
        path: The file, which need not be there yet.

    Attributes:
        records: The lines read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._file = 0
        self._offset = 0

    def update(self) -> bool:
        """Reads what is new; returns whether anything was. A file that a resumed run has rewritten is read anew."""
        try:
            with open(self.path, "rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._file or stat.st_size < self._offset:
                    self._file, self._offset, self.records = stat.st_ino, 0, []
                if stat.st_size == self._offset:
                    return False
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and is_number(record.get("epoch")):
                self.records.append(record)
        return bool(whole)


def curves(records: list[dict[str, Any]]) -> dict[str, list[Point]]:
    """Returns each metric's points as ``split/name`` to (x, y).

    x is the epoch, counted from 1, of training and evaluation, and the optimizer step of lines within an epoch. The
    final test is no point of a curve.
    """
    trained = 1 + max((record["epoch"] for record in records if record.get("split") == "train"), default=-1)
    by_name: dict[str, list[Point]] = {}
    for record in records:
        split, epoch, step = record.get("split"), record["epoch"], record.get("step")
        if split in EVALUATION and epoch >= trained > 0 and split == "test":
            continue
        x = step if split == "step" else epoch + 1
        for name, value in record.items():
            if name in ("split", "epoch", "step", "time", "seconds") or not is_number(x):
                continue
            if is_number(value):
                by_name.setdefault(f"{split}/{name}", []).append((float(x), float(value)))
    return by_name


def thinned(points: list[Point], most: int = 400) -> list[Point]:
    """Returns at most about ``most`` of the points, evenly spread, the last among them."""
    if len(points) <= most:
        return points
    step = len(points) / most
    return [points[int(i * step)] for i in range(most)] + [points[-1]]


def best_value(records: list[dict[str, Any]], monitor: str, mode: str) -> float | None:
    """Returns the best evaluation so far of the monitored metric; None before the first."""
    by_name = curves(records)
    values = [y for split in EVALUATION for _, y in by_name.get(f"{split}/{monitor}", [])]
    return (max(values) if mode == "max" else min(values)) if values else None


def epoch_seconds(records: list[dict[str, Any]]) -> float | None:
    """Returns the mean duration of the last epochs, evaluation included; None before the first has ended."""
    seconds = [
        float(record["seconds"])
        for record in records[-40:]
        if record.get("split") == "train" and is_number(record.get("seconds"))
    ]
    recent = seconds[-5:]
    return sum(recent) / len(recent) if recent else None

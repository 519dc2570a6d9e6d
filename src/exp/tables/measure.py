"""Reading a number out of a cell's directory."""

import math
import re
from pathlib import Path
from typing import Any

from exp.cells.metrics_file import read_metrics

EVALUATION = ("val", "test")


def measured(folder: Path, result: dict[str, Any], metric: str) -> float | None:
    """A metric of a cell that is done.

    Args:
        folder: The cell's directory.
        result: Its ``result.json``.
        metric: ``test/NAME``, ``best/NAME``, ``train/NAME``, ``last/NAME``, ``epochN/NAME`` or ``result/NAME/...``;
            see ``Column``.

    Returns:
        The value, None where the cell does not report it.
    """
    where, _, name = metric.partition("/")
    value: Any = None
    if where == "test":
        value = (result.get("test") or {}).get(name)
    elif where == "best":
        value = ((result.get("best") or {}).get("metrics") or {}).get(name)
    elif where == "result":
        value = result
        for key in name.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
    elif where == "train":
        value = next((r.get(name) for r in reversed(read_metrics(_lines(folder))) if r["split"] == "train"), None)
    elif where == "last":
        lines = _evaluations(read_metrics(_lines(folder)))
        value = lines[-1].get(name) if lines else None
    elif epoch := re.fullmatch(r"epoch(\d+)", where):
        lines = [r for r in read_metrics(_lines(folder)) if r["split"] in EVALUATION]
        value = next((r.get(name) for r in lines if r["epoch"] == int(epoch[1]) - 1), None)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def validation(result: dict[str, Any]) -> float | None:
    """The monitored metric at the epoch that was chosen."""
    value = (result.get("best") or {}).get("value")
    return float(value) if isinstance(value, (int, float)) else None


def reported(result: dict[str, Any]) -> list[str]:
    """The test metrics a cell reports."""
    return [f"test/{name}" for name in result.get("test") or {}]


def curves(folder: Path, split: str, name: str) -> dict[int, float]:
    """A metric by epoch, counted from 1.

    Args:
        folder: The cell's directory.
        split: ``train``, or ``eval`` for the part on which the epoch is chosen; the final test is no epoch.
        name: The metric.
    """
    records = read_metrics(_lines(folder))
    if split == "eval":
        records = _evaluations(records)
        split = "val" if any(record["split"] == "val" for record in records) else "test"
    found = {}
    for record in records:
        value = record.get(name)
        if record["split"] == split and isinstance(value, (int, float)):
            found[record["epoch"] + 1] = float(value)
    return found


def gate_values(result: dict[str, Any]) -> list[float]:
    """Share of all gate values in each bin from 0 to 1; empty where the cell watched no gates."""
    gates = result.get("gates")
    histograms = list((gates.get("histograms") or {}).values()) if isinstance(gates, dict) else []
    counts = [sum(bins) for bins in zip(*histograms, strict=True)]
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _evaluations(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the epochs, without the final test."""
    trained = 1 + max((record["epoch"] for record in records if record["split"] == "train"), default=-1)
    return [record for record in records if record["split"] in EVALUATION and record["epoch"] < trained]


def _lines(folder: Path) -> Path:
    return folder / "metrics.jsonl"

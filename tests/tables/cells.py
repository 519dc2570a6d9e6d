"""Cells on disk as a run leaves them, with numbers that a test wants."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exp.cells.files import write_json
from exp.sweep.plan import Planned
from exp.tables.compare import Comparison, compare
from exp.tables.composing import FILE
from exp.tables.plan import Planner, TablePlan

QUICK = ["recipe=quick"]


@contextlib.contextmanager
def borrowed(root: Path, base: Path) -> Iterator[None]:
    """Lends a folder of cells what other tests have composed, and takes over what it adds."""
    root.mkdir(parents=True, exist_ok=True)
    if (base / FILE).exists():
        shutil.copy(base / FILE, root / FILE)
    yield
    if (root / FILE).exists():
        shutil.copy(root / FILE, base / FILE)


def finish(one: Planned, *, test: Mapping[str, float], best: float | None = None, **more: Any) -> None:
    """Leaves a cell done."""
    folder = one.cell.path
    folder.mkdir(parents=True, exist_ok=True)
    value = best if best is not None else next(iter(test.values()))
    resolved = one.cell.resolved
    lines = []
    for epoch in range(3):
        lines.append({"split": "val", "epoch": epoch, "step": 10 * (epoch + 1), "time": 1.0, "top1": value - 2 + epoch})
        lines.append(
            {"split": "train", "epoch": epoch, "step": 10 * (epoch + 1), "time": 1.0, "loss": 1.0 / (epoch + 1)}
        )
    lines.append({"split": "test", "epoch": 3, "step": 30, "time": 1.0, **test})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(folder / "status.json", {"state": "done"})
    write_json(
        folder / "result.json",
        {
            "task": resolved.task,
            "seed": resolved.seed,
            "config": resolved.config.plain(),
            "test": dict(test),
            "best": {"epoch": 2, "value": value, "metrics": {"top1": value}},
            "params": 1000,
            "macs": 2_000_000,
            "train_seconds": 12.5,
            "code": {},
            **more,
        },
    )


def fail(one: Planned, state: str = "failed", error: str = "ValueError: no") -> None:
    """Leaves a cell failed."""
    one.cell.path.mkdir(parents=True, exist_ok=True)
    write_json(one.cell.path / "status.json", {"state": state, "error": error})
    (one.cell.path / "error.txt").write_text(f"Traceback (most recent call last):\n  File <b>x</b>\n{error}\n")


def fill(
    root: Path, table: str, overrides: list[str], values: Mapping[str, list[float]], metric: str = "top1"
) -> TablePlan:
    """Finishes cells row by row, the seeds in their order, and plans the table again."""
    plan = Planner(root).plan(table, overrides)
    for row in plan.rows:
        for one, value in zip(row.cells, values.get(row.row.name, ()), strict=False):
            finish(one, test={"top1": value, "top5": min(100.0, value + 20), "loss": 1.0})
    return Planner(root).plan(table, overrides)


def compared(root: Path, table: str, overrides: list[str], values: Mapping[str, list[float]]) -> Comparison:
    """The same, compared."""
    return compare(fill(root, table, overrides, values))

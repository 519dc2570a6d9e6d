"""Cells on disk as a run leaves them, with numbers that a test wants."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.cells.files import write_json
from exp.sweep.plan import Planned
from exp.tables.compare import Comparison, compare
from exp.tables.plan import Planner, TablePlan

QUICK = ["recipe=quick"]


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


def fabricate(one: Planned, values: Mapping[str, float | None]) -> None:
    """Leaves a cell done that reports these metrics, named as tables name them; None is a value never reached."""
    result: dict[str, Any] = {"test": {}, "best": {"epoch": 1, "value": 50.0, "metrics": {}}, "params": 1000}
    lines: dict[tuple[str, int], dict[str, Any]] = {("train", 0): {"loss": 1.0}, ("train", 1): {"loss": 0.9}}
    for metric, value in values.items():
        where, _, name = metric.partition("/")
        if where == "test":
            result["test"][name] = value
        elif where == "best":
            result["best"]["metrics"][name] = value
        elif where == "result":
            *outer, last = name.split("/")
            part = result
            for key in outer:
                part = part.setdefault(key, {})
            part[last] = value
        elif where in ("train", "last"):
            lines.setdefault(("train" if where == "train" else "val", 1), {})[name] = value
        else:
            lines.setdefault(("val", int(where.removeprefix("epoch")) - 1), {})[name] = value
    finish(
        one, test=result.pop("test") or {"top1": 50.0}, best=50.0, **{k: v for k, v in result.items() if k != "best"}
    )
    path = one.cell.path / "result.json"
    kept = json.loads(path.read_text())
    kept["best"] = result["best"]
    write_json(path, kept)
    text = [
        {"split": split, "epoch": epoch, "step": epoch + 1, "time": 1.0, **known}
        for (split, epoch), known in lines.items()
    ]
    (one.cell.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in text))

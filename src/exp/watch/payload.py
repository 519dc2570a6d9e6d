"""Cells and tables as plain values for the pages, live or static; the pages show them as text."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from exp.cells.files import finite
from exp.tables import words
from exp.tables.compare import Comparison
from exp.tables.figures import figures
from exp.watch.cell_state import CellState
from exp.watch.folder import Folder
from exp.watch.metrics_tail import curves, thinned
from exp.watch.remaining import Remaining, row_of
from exp.watch.text_files import pictures, tail

MOST_CURVES = 300
"""Cells whose curves are read for one figure."""

FACTS = ("params", "macs", "train_seconds", "epochs", "samples_seen", "world_size", "threads", "attempts", "disk_bytes")


def listed(cell: CellState, remaining: Remaining) -> dict[str, Any]:
    """Returns what the list of cells shows of a cell, under short keys since there may be thousands."""
    status = cell.status
    known: dict[str, Any] = {"i": cell.id, "n": cell.name, "s": cell.state, "k": cell.monitor[0]}
    if cell.state == "done":
        known |= {"e": cell.result.get("epochs"), "now": cell.shown.get(cell.monitor[0])}
        known["t"] = cell.result.get("train_seconds")
    else:
        now = (status.get("metrics") or {}).get(cell.monitor[0])
        known |= {"e": status.get("epoch"), "m": status.get("max_epochs"), "now": now}
    if cell.state == "running":
        known |= {"l": remaining.of_cell(cell), "mem": status.get("memory_bytes")}
    known |= {"f": round(cell.progress, 4), "v": cell.value, "r": cell.speed, "w": cell.monitor[1]}
    known |= {"d": status.get("device") or cell.result.get("device"), "h": host_of(cell)}
    known |= {"x": cell.note, "a": status.get("alarm")}
    return {key: value for key, value in finite(known).items() if value not in (None, "")}


def host_of(cell: CellState) -> str:
    """Returns the name of the machine a cell runs or ran on."""
    return str(cell.status.get("host") or cell.result.get("host") or "").split("/")[0]


def summary(folder: Folder, remaining: Remaining) -> dict[str, Any]:
    """Returns what is above the list: how many cells are how far, the best of them and the time left."""
    best, scope = folder.best(), folder.scope
    return finite(
        {
            "counts": folder.counts,
            "total": len(scope),
            "part": sum(cell.progress for cell in scope) / len(scope) if scope else 0.0,
            "left": remaining.of_sweep(),
            "command": folder.sweep.command if folder.sweep is not None else None,
            "best": None if best is None else {"i": best.id, "n": best.name, "k": best.monitor[0], "v": best.value},
            "reading": folder.reading,
        }
    )


def opened(cell: CellState, remaining: Remaining) -> dict[str, Any]:
    """Returns everything the page of one cell shows."""
    cell.metrics.update()
    measured = curves(cell.metrics.records)
    return finite(
        {
            "cell": listed(cell, remaining),
            "path": str(cell.path),
            "monitor": cell.monitor[0],
            "facts": {name: cell.result[name] for name in FACTS if cell.result.get(name) is not None},
            "scores": cell.shown,
            "test": cell.result.get("test") or {},
            "options": cell.config,
            "curves": {name: thinned(points) for name, points in measured.items()},
            "log": tail(cell.path / "log.txt"),
            "error": tail(cell.path / "error.txt") if cell.state in ("failed", "diverged") else "",
            "pictures": pictures(cell.path),
        }
    )


def bands(cells: Iterable[CellState], metric: str) -> dict[str, Any]:
    """Returns a metric against epoch by row, with one standard deviation over those seeds that reached the epoch.

    Args:
        cells: The cells; a row is those whose names are the same but for the seed.
        metric: ``split/name``; where it is empty, the monitored metric of the evaluation.
    """
    rows: dict[str, list[dict[str, list[tuple[float, float]]]]] = {}
    names: dict[str, None] = {}
    for cell in list(cells)[:MOST_CURVES]:
        cell.metrics.update()
        measured = {key: points for key, points in curves(cell.metrics.records).items() if not key.startswith("step/")}
        if not measured:
            continue
        names |= dict.fromkeys(measured)
        if not metric:
            metric = next((key for key in measured if key in (f"val/{cell.monitor[0]}", f"test/{cell.monitor[0]}")), "")
        rows.setdefault(row_of(cell), []).append(measured)
    series = [
        {"name": row, "index": index, "points": _mean([item.get(metric, []) for item in seeds])}
        for index, (row, seeds) in enumerate(rows.items())
    ]
    return finite({"metric": metric, "metrics": sorted(names), "series": [item for item in series if item["points"]]})


def _mean(seeds: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float, float | None, float | None]]:
    by_epoch: dict[float, list[float]] = {}
    for points in seeds:
        for x, y in points:
            by_epoch.setdefault(x, []).append(y)
    means = []
    for x, ys in sorted(by_epoch.items()):
        mean = statistics.fmean(ys)
        sd = statistics.stdev(ys) if len(ys) > 1 else None
        means.append((x, mean, None if sd is None else mean - sd, None if sd is None else mean + sd))
    return means[:: max(1, len(means) // 400)]


def table(comparison: Comparison) -> dict[str, Any]:
    """Returns a table with its verdicts, claims and figures, in the words of ``exp table``."""
    plan = comparison.plan
    names = words.headings(comparison)
    columns = []
    for column in plan.table.columns:
        entries = [comparison.entry(row.row.name, column) for row in plan.rows]
        used = words.used(comparison, column)
        columns.append(
            {
                "title": words.criteria(comparison, column),
                "headings": [names[place] for place in used],
                "rows": [[words.fields(entry)[place] for place in used] for entry in entries],
                "kinds": [_kind(entry.verdict, entry.within) for entry in entries],
                "below": words.seeds_wanted(comparison, column),
            }
        )
    costs = [[row.row.name, *words.costs(comparison, row.row.name)] for row in plan.rows]
    return finite(
        {
            "name": plan.table.name,
            "title": plan.table.title,
            "variant": plan.variant,
            "state": words.state(plan),
            "label": f"{words.label_words(plan).capitalize()}: {label}" if (label := words.label(plan)) else "",
            "remarks": words.remarks(comparison),
            "sources": [
                f"{item.file}{f', {item.title}' if item.title else ''}" for item in plan.table.sources.values()
            ],
            "columns": columns,
            "costs": {"headings": ["row", *words.COST_NAMES.values()], "rows": costs},
            "claims": {"headings": words.CLAIM_HEADINGS, "rows": [list(line) for line in words.claims(comparison)]},
            "notes": words.notes(comparison),
            "figures": [_figure(item) for item in figures(comparison)],
            "cells": [
                {"i": f"{item.cell.task}/{item.cell.path.name}", "n": f"{part.title} s{item.seed}", "s": item.state}
                for row in plan.rows
                for part in row.each
                for item in part.cells
            ],
        }
    )


def _kind(verdict: str, within: bool | None) -> str:
    return verdict if verdict in ("better", "worse") else "outside" if within is False else ""


def _figure(figure: Any) -> dict[str, Any]:
    series = [
        {
            "name": item.name,
            "index": item.index,
            "strong": item.strong,
            "points": [dataclasses.astuple(point) for point in item.points],
        }
        for item in figure.series
    ]
    return {
        "title": figure.title,
        "kind": figure.kind,
        "x": figure.x_label,
        "y": figure.y_label,
        "log": figure.log_x,
        "series": series,
    }

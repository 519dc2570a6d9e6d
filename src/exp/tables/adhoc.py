"""A table made of cells that were run without one, so that they get rows, statistics and a report."""

import itertools
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from exp.options.catalog import TASKS, metric_of
from exp.options.errors import ConfigError
from exp.options.parts import TaskOptions
from exp.sweep.plan import Planned
from exp.sweep.summary import label, varied_choices
from exp.tables.given import Given, changing, values
from exp.tables.plan import PlannedRow, TablePlan
from exp.tables.spec import Column, Row, Table

LESS_IS_BETTER = {
    *("loss", "losses", "error", "errors", "err", "gap", "alarms", "zigzag", "distance", "seconds", "latency"),
    *("ece", "nll", "mae", "mse", "rmse", "mape", "brier", "perplexity", "ppl", "wer", "cer", "fid"),
}
"""Words in the name of a metric of which less is better, where no task says so."""


def rows_of(cells: Sequence[Planned]) -> dict[str, list[Planned]]:
    """Cells by what varies among them, seeds excepted, in their order."""
    varied = varied_choices([one.resolved.config.plain() for one in cells])
    rows: dict[str, list[Planned]] = {}
    for one in cells:
        name = " ".join(label(one.resolved.config.plain(), varied)) or one.resolved.slug.rpartition("-s")[0]
        rows.setdefault(name, []).append(one)
    return rows


def column_of(metric: str, task: type[TaskOptions]) -> Column:
    """A column of a test metric."""
    if metric == task.monitor:
        return Column(metric, f"test/{metric}", higher=task.mode == "max")
    if (own := metric_of(metric)) is not None and not any(fnmatchcase(metric, known) for known in task.reports):
        return Column(metric, f"test/{metric}", higher=own.mode == "max")
    return Column(metric, f"test/{metric}", higher=metric not in task.lower and not says_less(metric))


def says_less(metric: str) -> bool:
    """Returns whether the name of a metric has a word of what should be little."""
    words = re.split(r"[^a-z]+", metric.lower())
    return any(word in LESS_IS_BETTER or word.endswith("loss") for word in words)


def table_of(cells: Sequence[Planned], name: str = "sweep") -> TablePlan:
    """Returns a table with a row a combination and a column a test metric; the first row is the reference."""
    rows = rows_of(cells)
    task = type(cells[0].resolved.config.task)
    metrics = dict.fromkeys(
        metric for one in cells if one.result is not None for metric in task.shown(one.result.get("test") or {})
    )
    seeds = tuple(dict.fromkeys(one.seed for one in cells))
    table = Table(
        name,
        f"{len(rows)} combinations, {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}",
        {},
        {},
        {row: Row(row, {}) for row in rows},
        {metric: column_of(metric, task) for metric in metrics},
        seeds,
        next(iter(rows)),
    )
    planned = [PlannedRow(table.rows[row], some) for row, some in rows.items()]
    return TablePlan(table, [], Given({}, {}, None, ()), cells[0].cell.root, seeds, planned, [], {}, [])


def file_of_sweep(words: Sequence[str], task: type[TaskOptions]) -> dict[str, Any]:
    """Returns the content of a table's file for the cells of a sweep's command line.

    Args:
        words: Overrides, several values parted by commas.
        task: The task of its cells.

    Raises:
        ConfigError: A word is no override, or nothing varies but seeds.
    """
    base: dict[str, Any] = {}
    varied: dict[str, list[str]] = {}
    seeds = [0]
    for word in words:
        if "=" not in word:
            raise ConfigError(f"--from-sweep: {word}: expected OPTION=VALUE, or one folder of cells")
        key, listed = word.partition("=")[0], values(word)
        if key == "seed":
            seeds = [int(seed) for seed in listed if seed.isdigit()] or seeds
        elif len(listed) > 1:
            varied[key] = listed
        elif changing([word]):
            base[key] = _scalar(listed[0])
    if not varied:
        raise ConfigError("--from-sweep: nothing varies but seeds; give an option several values, such as att=none,ca")
    rows = {
        " ".join(combination): {key: _scalar(value) for key, value in zip(varied, combination, strict=True)}
        for combination in itertools.product(*varied.values())
    }
    return _file(f"Sweep of {', '.join(varied)}", {"task": task.name} | base, rows, seeds, task)


def file_of_folder(folder: Path) -> dict[str, Any]:
    """Returns the content of a table's file for the cells of a folder that are done.

    Raises:
        ConfigError: There are none, or those of several tasks.
    """
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("**/result.json"))]
    tasks = sorted({str(result["task"]) for result in results})
    if len(tasks) != 1:
        there = f"cells of {', '.join(tasks)}; name the folder of one of them" if tasks else "no cell that is done"
        raise ConfigError(f"--from-sweep {folder}: {there}")
    task = TASKS[tasks[0]]
    given = [_overrides(result["overrides"]) for result in results]
    keys = list(dict.fromkeys(key for one in given for key in one))
    shared = {key: given[0][key] for key in keys if all(one.get(key) == given[0].get(key) for one in given)}
    shared = {key: value for key, value in shared.items() if value is not None}
    rows: dict[str, dict[str, Any]] = {}
    for one in given:
        own = {key: value for key, value in one.items() if key not in shared}
        rows.setdefault(" ".join(f"{key}={value}" for key, value in own.items()) or "defaults", own)
    short = {" ".join(own.values()) or "defaults": own for own in rows.values()}
    rows = short if len(short) == len(rows) else rows
    seeds = sorted({int(result["seed"]) for result in results})
    typed = {key: {name: _scalar(value) for name, value in own.items()} for key, own in rows.items()}
    base = {"task": task.name} | {key: _scalar(value) for key, value in shared.items()}
    return _file(f"Cells of {folder}", base, typed, seeds, task)


def _overrides(words: Sequence[str]) -> dict[str, str]:
    kept = [word for word in changing(words) if not word.startswith(("seed=", "origin.", "task="))]
    return {key: value for key, _, value in (word.partition("=") for word in kept)}


def _file(
    title: str, base: dict[str, Any], rows: dict[str, dict[str, Any]], seeds: Sequence[int], task: type[TaskOptions]
) -> dict[str, Any]:
    shown = task.headline or tuple(name for name in task.reports if "*" not in name) or (task.monitor,)
    metrics = [task.monitor, *(name for name in shown if name != task.monitor)]
    judged = {name: column_of(name, task) for name in metrics if task.monitor == name or name in shown}
    columns = {
        name: {"metric": column.metric} | ({} if column.higher else {"better": "lower"})
        for name, column in judged.items()
    }
    columns |= {"params": {"metric": "result/params", "better": "lower"}}
    return {"title": title, "base": base, "rows": rows, "columns": columns, "seeds": list(seeds)}


def _scalar(text: str) -> Any:
    """A value as YAML has it: numbers and booleans as such, everything else as text."""
    value = yaml.safe_load(text) if text.strip() else text
    return value if isinstance(value, (int, float, bool)) or value is None else text.strip("'\"")

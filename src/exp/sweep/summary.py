"""The table a sweep ends with: a row a combination, seeds averaged."""

import re
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from exp.cells.terminal import count, duration
from exp.sweep.lines import print_lines
from exp.sweep.plan import Planned

COST_COLUMNS = {"params": "params", "macs": "MACs", "train_seconds": "time"}


def print_summary(cells: Sequence[Planned], skipped: Sequence[tuple[tuple[str, ...], str]], console: Console) -> None:
    """Prints a table of results.

    Args:
        cells: The sweep's cells, in order.
        skipped: Combinations left out as invalid.
        console: Where to. Rows are named by what varies (seeds excepted), with a column a test metric, then parameters,
            MACs and time.
    """
    varied = varied_choices([planned.resolved.config.plain() for planned in cells])
    rows: dict[tuple[str, ...], list[Planned]] = {}
    for planned in cells:
        rows.setdefault(label(planned.resolved.config.plain(), varied), []).append(planned)
    results = {name: [result for one in group if (result := one.cell.result())] for name, group in rows.items()}
    metrics = list(dict.fromkeys(metric for planned in cells for metric in _shown(planned)))
    names = [key[1] for key in varied] or ["cell"]
    headings = [*names, *metrics, *COST_COLUMNS.values()]
    lines = []
    for name, group in rows.items():
        done = results[name]
        called = list(name or (group[0].cell.path.name,))
        if not done:
            states = ", ".join(sorted({one.cell.status()["state"] for one in group}))
            lines.append([*called, states])
            continue
        if stale := sum(bool(one.changed) and not one.anew for one in group):
            called[-1] += f" ({stale} stale)"
        cells_ = [mean_sd([result["test"].get(metric) for result in done]) for metric in metrics]
        cost = [_counts(done, "params"), _counts(done, "macs"), duration(_mean(done, "train_seconds"))]
        lines.append([*called, *cells_, *cost])
    filled = [[*line, *[""] * (len(headings) - len(line))] for line in lines]
    print_lines(headings, filled, console, names=len(names))
    for overrides, why in skipped:
        console.print(Text(f"{' '.join(overrides)}: left out: {why}", style="dim"), soft_wrap=False)


def _shown(planned: Planned) -> list[str]:
    result = planned.cell.result()
    return list(planned.resolved.config.task.shown(result["test"])) if result else []


def varied_choices(configs: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """What differs between configurations as (part, option), seeds excepted; a choice of a group is (part, "name")."""
    paths: dict[tuple[str, str], set[str]] = {}
    for config in configs:
        for part, values in config.items():
            options = values if isinstance(values, dict) else {"": values}
            for name, value in options.items():
                paths.setdefault((part, name), set()).add(repr(value))
    chosen = {part for (part, name), values in paths.items() if name == "name" and len(values) > 1}
    varied = []
    for (part, name), values in paths.items():
        if part in ("seed", "sweep", "cells", "logger", "origin", "recipe") or len(values) < 2:
            continue
        if not (part in chosen and name != "name" and _decided(configs, part, name)):
            varied.append((part, part if name in ("name", "") else name))
    return varied


def _decided(configs: Sequence[dict[str, Any]], part: str, name: str) -> bool:
    """Whether an option has one value for each choice of its part, so that naming the choice says it."""
    by_choice: dict[str, set[str]] = {}
    for config in configs:
        by_choice.setdefault(config[part]["name"], set()).add(repr(config[part].get(name)))
    return all(len(values) == 1 for values in by_choice.values())


def label(config: dict[str, Any], varied: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """A configuration's values of what varies."""
    words = []
    for part, name in varied:
        node = config.get(part)
        value = node.get("name" if name == part else name, "-") if isinstance(node, dict) else node
        words.append(str(value))
    return tuple(words)


def mean_sd(values: Sequence[float | None]) -> str:
    """``97.22`` of one, ``97.22 (2)`` of two, ``97.22 ± 0.31 (3)`` of more, as tables have it."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = statistics.fmean(known)
    places = 2 if abs(mean) >= 10 else 3
    spread = f" ± {statistics.stdev(known):.{places}f}" if len(known) > 2 else ""
    return f"{mean:.{places}f}{spread}{f' ({len(known)})' if len(known) > 1 else ''}"


def _counts(results: Sequence[dict[str, Any]], name: str) -> str:
    """What seeds have in common; all there are where the code of a stale one built another network."""
    return " / ".join(dict.fromkeys(count(result.get(name)) for result in results))


def _mean(results: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.fmean(result[name] for result in results)


def spelt_seeds(seeds: Sequence[int]) -> str:
    """``0,1,2``; many in a row as ``range(0,2000)``, so that they stay on a line."""
    first, last = seeds[0], seeds[-1]
    if len(seeds) > 10 and list(seeds) == list(range(first, last + 1)):
        return f"range({first},{last + 1})"
    return ",".join(map(str, seeds))


def with_short_seeds(command: str) -> str:
    """A command in which many seeds in a row are written as a range."""
    return re.sub(r"(?<=\bseed=)\d+(,\d+)+", lambda seeds: spelt_seeds([int(s) for s in seeds[0].split(",")]), command)

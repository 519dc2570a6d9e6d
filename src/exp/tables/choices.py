"""Choices that one table takes over from the results of another: made once, then kept."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.cell import read_json, write_json
from exp.config import TASKS
from exp.tables.given import Given
from exp.tables.measure import validation
from exp.tables.spec import Choice, Table, load, spelt
from exp.tables.statistics import mean_sd

if TYPE_CHECKING:
    from exp.tables.plan import PlannedRow, Planner

FILE = "tables.json"


class Undecided(Exception):
    """The rows a choice depends on have not all run."""


@dataclass(frozen=True)
class Chosen:
    """A choice made.

    Attributes:
        name: What is chosen.
        value: The value taken.
        table: The table whose rows decided.
        scores: Mean validation metric by value.
        frozen: Whether it was made before and stands, whatever the rows say now.
        now: What the rows say now.
    """

    name: str
    value: str
    table: str
    scores: dict[str, float]
    frozen: bool = False
    now: str = ""

    def __str__(self) -> str:
        means = ", ".join(f"{value} {score:.2f}" for value, score in self.scores.items())
        moved = f"; now it would be {self.now}" if self.now and self.now != self.value else ""
        return f"{self.name}={self.value}: best of table {self.table} by mean validation metric ({means}){moved}"


def choose(planner: Planner, table: Table, name: str, given: Given, seeds: tuple[int, ...]) -> Chosen:
    """The value of a choice: the one kept, else the best by mean validation metric; a tie keeps the first row.

    Raises:
        Undecided: Rows it depends on are missing.
    """
    choice = table.choices[name]
    kept = _kept(planner.root).get(table.name, {}).get("choices", {}).get(_key(name, given))
    try:
        made = _best(planner, table, name, choice, given, seeds)
    except Undecided:
        if kept is None:
            raise
        made = None
    if kept is None:
        assert made is not None
        return made
    return Chosen(name, kept["value"], kept["table"], kept["scores"], True, made.value if made else "")


def _best(planner: Planner, table: Table, name: str, choice: Choice, given: Given, seeds: tuple[int, ...]) -> Chosen:
    scores: dict[str, float] = {}
    if choice.table:
        plan = planner.plan(choice.table, inherited(load(choice.table), table, given, seeds))
        rows = {spelt(row.row.overrides[choice.axis]): row for row in plan.rows}
        where = choice.table
    else:
        first = {key: choose(planner, table, key, given, seeds) for key, one in table.choices.items() if one.table}
        everything = dataclasses.replace(given, rows={})
        rows = {value: planner.row_of(table, row, everything, seeds, first) for value, row in choice.among.items()}
        where = table.name
    for value, row in rows.items():
        if row.problem:
            continue
        scores[value] = _score(row, where)
    if not scores:
        raise Undecided(next(iter(rows.values())).problem)
    best = max(scores.values())
    return Chosen(name, next(value for value, score in scores.items() if score == best), where, scores)


def _score(row: PlannedRow, where: str) -> float:
    """Mean validation metric over the seeds, more is better; a row all of whose runs failed comes last."""
    open_ = len(row.cells) - row.count("done", "stale", "failed", "diverged")
    if open_:
        raise Undecided(f"waits for the results of table {where}")
    values = [value for _, result in row.results.values() if (value := validation(result)) is not None]
    if not values:
        return float("-inf")
    sign = 1 if TASKS[row.cells[0].cell.resolved.task].mode == "max" else -1
    return sign * mean_sd(values)[0]


def inherited(upstream: Table, table: Table, given: Given, seeds: tuple[int, ...]) -> list[str]:
    """The command line of the table that a choice depends on: the same but for what either varies."""
    skip = {*table.varied, *upstream.varied}
    options = [f"{key}={value}" for key, value in given.options.items() if key not in skip]
    return [*options, f"seed={','.join(map(str, seeds))}"]


def keep(root: Path, table: str, given: Given, chosen: dict[str, Chosen]) -> None:
    """Freezes choices and remembers that the table was run this way."""
    known = _kept(root)
    entry = known.setdefault(table, {})
    for name, one in chosen.items():
        entry.setdefault("choices", {}).setdefault(
            _key(name, given), {"value": one.value, "table": one.table, "scores": _finite(one.scores)}
        )
    variants = entry.setdefault("variants", [])
    variant = given.telling()
    if variant in variants:
        variants.remove(variant)
    variants.append(variant)
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / FILE, known)


def variants(root: Path, table: str) -> list[list[str]]:
    """The overrides with which a table was run, the last one last."""
    return [list(variant) for variant in _kept(root).get(table, {}).get("variants", [])]


def _kept(root: Path) -> dict[str, Any]:
    return read_json(root / FILE) or {}


def _key(name: str, given: Given) -> str:
    return " ".join([name, *(word for word in given.telling() if not word.startswith("seed="))])


def _finite(scores: dict[str, float]) -> dict[str, float]:
    return {value: score for value, score in scores.items() if score > float("-inf")}

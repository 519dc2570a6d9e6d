"""Seeds where they decide: looks fixed beforehand, at which open rows get further seeds and part of the error is spent.

A schedule is kept in ``tables.json`` beside the cells, so that a table that is stopped goes on, and is judged the same
way whenever it is shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from exp.cells.files import TABLES, read_json, write_json
from exp.tables.choices import is_name
from exp.tables.given import Given
from exp.tables.hypotheses import Look

NUMBER = 4
"""Looks of a schedule; each sees twice as many seeds as the one before."""


@dataclass(frozen=True)
class Schedule:
    """Looks of a table and how far each row is.

    Attributes:
        sizes: Seeds of a row at each look.
        rows: Seeds of the rows that have got more than at the first look.
        budget: Cells that may be added in all, None for no bound.
        ended: Why no more seeds were added; empty while that is open.
    """

    sizes: tuple[int, ...]
    rows: dict[str, int] = field(default_factory=dict)
    budget: int | None = None
    ended: str = ""

    def seeds_of(self, row: str, first: tuple[int, ...]) -> tuple[int, ...]:
        """Returns a row's seeds: those of the table, then the whole numbers behind the largest."""
        return extended(first, self.rows.get(row, len(first)))

    def looks(self, first: tuple[int, ...]) -> tuple[Look, ...]:
        """Returns the looks; each spends the share of the error that its new seeds are of all (linear spending)."""
        before = (0, *self.sizes)
        return tuple(
            Look(extended(first, size), (size - past) / self.sizes[-1])
            for past, size in zip(before, self.sizes, strict=False)
        )

    @property
    def spent(self) -> int:
        """Cells added so far."""
        return sum(size - self.sizes[0] for size in self.rows.values())

    def next(self, open_rows: Iterable[str]) -> "Schedule":
        """Returns the schedule with the next look's seeds for rows that are open, or with the reason why not."""
        wanted = {
            row: next((size for size in self.sizes if size > self.rows.get(row, self.sizes[0])), 0)
            for row in dict.fromkeys(open_rows)
        }
        grown = {row: size for row, size in wanted.items() if size}
        if not wanted:
            return replace(self, ended="every verdict is clear")
        if not grown:
            return replace(self, ended=f"the last look, at {self.sizes[-1]} seeds, has been taken")
        more = replace(self, rows=self.rows | grown, ended="")
        if self.budget is not None and more.spent > self.budget:
            left = self.budget - self.spent
            return replace(self, ended=f"the next look needs {more.spent - self.spent} cells and the budget has {left}")
        return more


def started(first: tuple[int, ...], budget: int | None) -> Schedule:
    """Returns the schedule of a table with these seeds at its first look."""
    return Schedule(tuple(len(first) * 2**look for look in range(NUMBER)), budget=budget)


def extended(first: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Returns seeds continued by the whole numbers behind the largest."""
    return (*first, *range(max(first) + 1, max(first) + 1 + max(0, size - len(first))))[:size]


def kept(root: Path, table: str, given: Given) -> Schedule | None:
    """Returns the schedule of a table with these overrides, None where all rows have the same seeds."""
    entry: Mapping[str, Any] | None = (read_json(root / TABLES) or {}).get(table, {}).get("looks", {}).get(_key(given))
    if entry is None:
        return None
    return Schedule(tuple(entry["sizes"]), dict(entry["rows"]), entry["budget"], entry["ended"])


def keep(root: Path, table: str, given: Given, schedule: Schedule) -> None:
    """Writes a schedule beside the cells."""
    known = read_json(root / TABLES) or {}
    add(known, table, given, schedule)
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / TABLES, known)


def add(known: dict[str, Any], table: str, given: Given, schedule: Schedule | None) -> None:
    """Adds a table's schedule, where it has one, to what ``tables.json`` holds."""
    if schedule:
        known.setdefault(table, {}).setdefault("looks", {})[_key(given)] = asdict(schedule)


def take(root: Path, theirs: Any) -> list[str]:
    """Takes over schedules that were fixed elsewhere where there are none here; returns a line for each that differs.

    Args:
        root: Folder of all cells.
        theirs: What ``tables.json`` holds there; what is not of its form is left out.
    """
    known, told = read_json(root / TABLES) or {}, []
    for table, entry in theirs.items() if isinstance(theirs, dict) else ():
        plain = isinstance(entry, dict) and is_name(table)
        looks = entry.get("looks") if plain else None
        for key, one in looks.items() if isinstance(looks, dict) else ():
            if _is_schedule(one) and known.setdefault(table, {}).setdefault("looks", {}).setdefault(key, one) != one:
                told.append(
                    f"table {table}: seeds were added to other rows there, or at other looks; its schedule here"
                )
    if known:
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / TABLES, known)
    return told


def _is_schedule(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"sizes", "rows", "budget", "ended"}:
        return False
    sizes, rows, budget, ended = value["sizes"], value["rows"], value["budget"], value["ended"]
    return (
        isinstance(sizes, list)
        and isinstance(rows, dict)
        and all(type(size) is int and size > 0 for size in (*sizes, *rows.values()))
        and len(sizes) == NUMBER
        and sizes == sorted(set(sizes))
        and (budget is None or type(budget) is int)
        and isinstance(ended, str)
        and ended.isprintable()
    )


def _key(given: Given) -> str:
    return " ".join(given.variant())

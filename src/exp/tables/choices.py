"""Choices that one table takes over from the results of another: made once, then kept in ``tables.json``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.cells.files import read_json, write_json
from exp.options.words import expanded, value_of

if TYPE_CHECKING:
    from exp.tables.given import Given

FILE = "tables.json"


def root_of(overrides: list[str]) -> Path:
    """The folder of all cells under a command line."""
    given = [value_of(word) for word in expanded(overrides) if word.startswith("cells.dir=")]
    return Path(str(given[-1]) if given else "multirun").expanduser().absolute()


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
        frozen: Whether it was made before and is kept, whatever the rows say now.
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


def keep(root: Path, table: str, given: "Given", chosen: dict[str, Chosen]) -> None:
    """Freezes choices and remembers that the table was run this way."""
    known = _kept(root)
    entry = known.setdefault(table, {})
    for name, one in chosen.items():
        entry.setdefault("choices", {}).setdefault(
            _key(name, given), {"value": one.value, "table": one.table, "scores": _finite(one.scores)}
        )
    variants = entry.setdefault("variants", [])
    variant = given.variant()
    if variant in variants:
        variants.remove(variant)
    variants.append(variant)
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / FILE, known)


def variants(root: Path, table: str) -> list[list[str]]:
    """Returns the overrides with which a table was run, the latest last."""
    return [list(variant) for variant in _kept(root).get(table, {}).get("variants", [])]


def remembered(root: Path) -> list[str]:
    """Returns the names of all tables that were run."""
    return list(_kept(root))


def kept(root: Path, table: str, name: str, given: "Given") -> dict[str, Any] | None:
    """Returns a choice as it was frozen, with its value, table and scores; None where it was not made yet."""
    entry = _kept(root).get(table, {}).get("choices", {}).get(_key(name, given))
    return entry if isinstance(entry, dict) else None


def _kept(root: Path) -> dict[str, Any]:
    return read_json(root / FILE) or {}


def _key(name: str, given: "Given") -> str:
    return " ".join([name, *(word for word in given.variant() if not word.startswith("seed="))])


def _finite(scores: dict[str, float]) -> dict[str, float]:
    return {value: score for value, score in scores.items() if score > float("-inf")}

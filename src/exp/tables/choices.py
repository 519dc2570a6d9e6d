"""Choices that one table takes over from the results of another: made once, then kept in ``tables.json``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.cells.files import TABLES, read_json, write_json
from exp.options.words import expanded, value_of

if TYPE_CHECKING:
    from exp.tables.given import Given


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
    add(known, table, given, chosen)
    root.mkdir(parents=True, exist_ok=True)
    write_json(root / TABLES, known)


def add(known: dict[str, Any], table: str, given: "Given", chosen: dict[str, Chosen]) -> None:
    """Adds a table's choices, and that it was run this way, to what ``tables.json`` holds."""
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


def take(root: Path, theirs: Any) -> list[str]:
    """Takes over choices that were frozen elsewhere where there are none here; returns a line a choice that differs.

    Args:
        root: Folder of all cells.
        theirs: What ``tables.json`` holds there; what is not of its form is left out.
    """
    known, told = _kept(root), []
    for table, entry in theirs.items() if isinstance(theirs, dict) else ():
        plain = isinstance(entry, dict) and is_name(table)
        choices = entry.get("choices") if plain else None
        for key, choice in choices.items() if isinstance(choices, dict) else ():
            if not _is_choice(choice):
                continue
            ours = known.setdefault(table, {}).setdefault("choices", {}).setdefault(key, choice)
            if ours["value"] != choice["value"]:
                here, there = ours["value"], choice["value"]
                told.append(f"table {table}: {key.split()[0]}={here} here, {there} there; the choice made here")
    if known:
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / TABLES, known)
    return told


def is_name(table: str) -> bool:
    """Whether a table is named as one is, and not by a stranger's path."""
    return re.fullmatch(r"[\w-]+", table) is not None


def _is_choice(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"value", "table", "scores"}:
        return False
    words, scores = (value["value"], value["table"]), value["scores"]
    return (
        all(isinstance(word, str) and re.fullmatch(r"[\w.+-]+", word) for word in words)
        and isinstance(scores, dict)
        and all(isinstance(score, (int, float)) for score in scores.values())
    )


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
    return read_json(root / TABLES) or {}


def _key(name: str, given: "Given") -> str:
    return " ".join([name, *(word for word in given.variant() if not word.startswith("seed="))])


def _finite(scores: dict[str, float]) -> dict[str, float]:
    return {value: score for value, score in scores.items() if score > float("-inf")}

"""The list of all tables and how far each is; what their cells are is kept, so that it is shown again without Hydra."""

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from exp.cells.files import TABLES
from exp.options.folders import PACKAGE, conf_dirs
from exp.options.plugins import active, files_of_tasks
from exp.tables.choices import remembered
from exp.tables.keeping import Kept, files_below, state_of
from exp.tables.reading import ENDINGS

FOLDER = "listed"
"""Below the cache folder: one file for each command, place and state of all code, YAML and tables."""


@dataclass(frozen=True)
class Seeds:
    """Cells that differ in the seed alone.

    Attributes:
        choices: Those of the first, as plain values.
        seeds: The seeds.
    """

    choices: dict[str, Any]
    seeds: list[int]


@dataclass(frozen=True)
class Line:
    """A table in the list, or another way in which it was run.

    Attributes:
        name: The table's name; empty for another way in which it was run.
        title: What it is; the overrides of another way in which it was run, or what is wrong with the table.
        state: Why none of it can run, empty where something can.
        expected: Cells there would be if every row could run.
        cells: Its cells.
        done: How many are done.
        failed: How many failed.
    """

    name: str
    title: str
    state: str = ""
    expected: int = 0
    cells: list[Seeds] = field(default_factory=list)
    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Listed:
    """A table's lines, and while what of them they stay the same but for how many cells are done or failed.

    Attributes:
        lines: The lines.
        lasting: Whether they do until a file of code, YAML or tables changes.
        before_cells: Whether they do likewise as long as there is no cell.
    """

    lines: list[Line]
    lasting: bool = False
    before_cells: bool = False


def listed(root: Path, overrides: list[str], name: str, folders: tuple[str, ...]) -> Iterator[Line]:
    """Yields the lines of all tables.

    Args:
        root: Folder of all cells.
        overrides: Overrides that hold for every cell.
        name: The configuration to start from.
        folders: Further folders of configuration, absolute.

    Raises:
        ConfigError: A table that ships cannot be planned under the overrides.
    """
    kept = Kept(FOLDER, _state(root, overrides, name, folders))
    known = _restored(kept.read())
    if known and has_no_cells(root) and all(one.before_cells for one in known.values()):
        yield from (line for one in known.values() for line in one.lines)
        return
    from exp.tables.survey import Survey

    survey = Survey(root, overrides, name, folders)
    if known:
        for table, one in known.items():
            yield from map(survey.counted, one.lines) if one.lasting else survey.of(table).lines
        return
    known = survey.all()
    if any(one.before_cells for one in known.values()):
        kept.write({table: asdict(one) for table, one in known.items()})
    yield from (line for one in known.values() for line in one.lines)


def has_no_cells(root: Path) -> bool:
    """Whether a folder of cells holds none."""
    if not root.is_dir():
        return True
    with os.scandir(root) as entries:
        return not any(entry.is_dir() for entry in entries)


def _state(root: Path, overrides: list[str], name: str, folders: tuple[str, ...]) -> str:
    """Changes with all that decides what the tables are, and what their cells."""
    here: list[str | Path] = [path for ending in ENDINGS for path in Path().glob(f"*{ending}")]
    elsewhere = [f"{table}.yaml" for table in remembered(root)]
    plugins = [path for plugin in active() for path in files_below(plugin.path, ".py")]
    code: list[str | Path] = [*files_below(PACKAGE, ".py"), *plugins, *files_of_tasks()]
    configured: list[str | Path] = [*conf_dirs(), *folders]
    yaml = [path for folder in configured for path in files_below(folder, ".yaml", ".txt")]
    installed = [folder for folder in sys.path if folder.endswith("-packages")]  # their time tells of what is in them
    places = [str(Path.cwd()), str(Path.home()), str(root), name, *folders]
    return state_of([*here, *elsewhere, root / TABLES, *code, *yaml, *installed], *places, "", *overrides)


def _restored(kept: dict[str, Any]) -> dict[str, Listed]:
    """Returns what was kept, nothing where it is of another form; how far the cells were then is left out."""
    try:
        return {
            table: Listed(
                [
                    Line(**{**line, "cells": [Seeds(**one) for one in line["cells"]], "done": 0, "failed": 0})
                    for line in plain["lines"]
                ],
                plain["lasting"],
                plain["before_cells"],
            )
            for table, plain in kept.items()
        }
    except (TypeError, KeyError):
        return {}

"""``exp pack TABLE|DIR ... [--out FILE]``: finished cells in one file, for another machine.

Takes options, results and curves of the cells of tables or below folders, what a table has chosen by the results of
another, and at which looks its rows got further seeds; ``--checkpoints`` takes the weights too.
``exp merge FILE`` takes them in elsewhere.
"""

import argparse
from pathlib import Path
from typing import Any

from exp.cells.bundle import cells_below, pack
from exp.cells.cell import Cell
from exp.cells.files import writing
from exp.options.errors import ConfigError
from exp.tables import choices, looks
from exp.tables.choices import root_of
from exp.tables.plan import Planner
from exp.tables.reading import ENDINGS, canonical, names, own_names


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="+", metavar="TABLE|DIR|OPTION=VALUE")
    parser.add_argument("--out", type=Path, default=Path("cells.zip"), help="the file (cells.zip if not given)")
    parser.add_argument("--checkpoints", action="store_true", help="take the weights too")


def run(options: argparse.Namespace) -> int:
    """Packs and says what to type elsewhere.

    Raises:
        ConfigError: There is no such table or folder, nothing has run, or the file cannot be written.
    """
    cells, tables = selected(options.words)
    with writing("give another place with --out"):
        count = pack(cells, options.out, checkpoints=options.checkpoints, tables=tables)
    print(f"{count} cells in {options.out}")
    print(f"Next: exp merge {options.out}, where they are wanted")
    return 0


def selected(words: list[str]) -> tuple[list[Cell], dict[str, Any]]:
    """Returns the cells of tables, under overrides, and below folders, and what the tables have fixed.

    Raises:
        ConfigError: A word is neither.
    """
    overrides = [word for word in words if "=" in word]
    cells: list[Cell] = []
    tables: dict[str, Any] = {}
    for word in words:
        if "=" in word:
            continue
        if word in (*names(), *own_names()) or word.endswith(ENDINGS):
            planned = Planner(root_of(overrides), judged=False).plan(canonical(word), overrides)
            cells += [one.cell for row in planned.rows for one in row.cells]
            choices.add(tables, planned.table.name, planned.given, planned.chosen)
            looks.add(tables, planned.table.name, planned.given, planned.schedule)
        elif Path(word).is_dir():
            cells += cells_below(Path(word))
        else:
            raise ConfigError(f"{word}: neither a table nor a folder of cells")
    return list({cell.path: cell for cell in cells}.values()), tables

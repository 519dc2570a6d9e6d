"""``exp export TABLE [OPTION=VALUE] ... --out DIR``: a table with its cells, for a repository or a supplement.

Writes the table as Markdown, CSV and JSON, its figures as SVG, the command that makes it, and each cell's result and
curves without paths and host names. ``exp table TABLE cells.dir=DIR/cells`` reads it again.
"""

import argparse
from pathlib import Path

from exp.cells.bundle import export
from exp.cells.files import replace_whole, writing
from exp.cells.terminal import pasted
from exp.commands.front import add_overrides
from exp.options.errors import ConfigError
from exp.tables import choices, looks
from exp.tables.choices import root_of
from exp.tables.compare import compare
from exp.tables.drawing import drawn
from exp.tables.figures import figures
from exp.tables.plan import Planner
from exp.tables.render import as_csv, as_json, markdown


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("table", metavar="TABLE")
    add_overrides(parser, "those that the table was run with")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder that is written")


def run(options: argparse.Namespace) -> int:
    """Writes the folder and says how it is read.

    Raises:
        ConfigError: There is no such table, nothing of it has run, or the folder cannot be written.
    """
    plan = Planner(root_of(options.overrides)).plan(options.table, options.overrides)
    cells = {one.cell.path: one.cell for row in plan.rows for one in row.cells}
    if not any(cell.result() for cell in cells.values()):
        raise ConfigError(f"table {options.table}: nothing of it has run; exp table {options.table} --run")
    comparison = compare(plan)
    own = [word for word in options.overrides if not word.startswith("cells.")]
    elsewhere = ["data.root=DATA" if word.startswith("data.root=") else word for word in own]
    texts = {
        "table.md": markdown(comparison),
        "table.csv": as_csv(comparison),
        "table.json": as_json(comparison),
        "command.txt": pasted("exp", "table", options.table, "--run", *elsewhere) + "\n",
    } | {f"{figure.name}.svg": drawn(figure) for figure in figures(comparison)}
    with writing("give another folder with --out"):
        count = export(cells.values(), options.out / "cells")
        choices.keep(options.out / "cells", plan.table.name, plan.given, plan.chosen)  # whose table may not be there
        if plan.schedule:
            looks.keep(options.out / "cells", plan.table.name, plan.given, plan.schedule)
        for name, text in texts.items():
            with replace_whole(options.out / name) as fresh:
                fresh.write_text(text, encoding="utf-8")
    print(f"{count} cells in {options.out}")
    print(f"Next: {pasted('exp', 'table', options.table, f'cells.dir={options.out}/cells', *own)}")
    return 0

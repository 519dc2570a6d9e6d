"""``exp table new``: a table's file made of a paper's table, of other tools' runs, or of cells that were run ad hoc."""

import argparse
from pathlib import Path
from typing import Any

from exp.cells.files import writing
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.options.resolve import resolve
from exp.sweep.lines import new_console
from exp.tables.adhoc import file_of_folder, file_of_sweep
from exp.tables.choices import root_of
from exp.tables.given import values
from exp.tables.papers.files import read_tables
from exp.tables.papers.printed import PrintedTable
from exp.tables.papers.runs import comparison_of, seed_column, shape_of_runs
from exp.tables.papers.shape import Shape, shape_of
from exp.tables.papers.study import study_of, todo_words
from exp.tables.papers.writing import write_study
from exp.tables.plan import Planner
from exp.tables.reading import canonical
from exp.tables.terminal import print_table
from exp.tables.words import state

ELSEWHERE = "give another place with --out"
"""What to do where a table's file cannot be written."""


def new_table(options: argparse.Namespace, words: list[str], compose: Composition) -> int:
    """Writes a table's file.

    Args:
        options: The command line's options.
        words: What followed ``new``: the file that has the table, or overrides.
        compose: Composes overrides.

    Raises:
        ConfigError: The file cannot be read, it is not clear which of its tables is meant, there is such a file, or it
            cannot be written.
    """
    overrides = [word for word in words if "=" in word]
    if options.from_sweep:
        given = [*options.from_sweep.split(), *words]
        content, out = _from_sweep(given, compose), options.out or Path("sweep.yaml")
        with writing(ELSEWHERE):
            write_study(out, content, anew=options.force)
        return _written(out, content, [], overrides if Path(given[0]).is_dir() else [], compose)
    files = [word for word in words if "=" not in word]
    if len(files) != 1:
        raise ConfigError(
            "exp table new FILE: one file that has the table (.tex, .md, .html, .csv, .txt), or --from-sweep"
        )
    path = Path(files[0])
    place, table, shape, one = _chosen(path, options.table)
    if shape is None:
        comparison = comparison_of(table, path)
        print_table(comparison, new_console())
        shape = shape_of_runs(comparison, table, path)
    study = study_of(shape, path, f"table {place}" if one is False else "", compose)
    out = options.out or Path(f"{path.stem}{'' if one else f'-{place}'}.yaml")
    comment = f"Read from {path.name} by exp table new; every row whose todo is answered can run."
    first = comment if study.open_rows or study.open_columns else ""
    with writing(ELSEWHERE):
        write_study(out, study.content, first=first, anew=options.force)
    return _written(out, study.content, todo_words(study), overrides, compose)


def _from_sweep(words: list[str], compose: Composition) -> dict[str, Any]:
    folder = Path(words[0])
    if "=" not in words[0]:
        if not folder.is_dir():
            raise ConfigError(f"--from-sweep {folder}: no such folder of cells")
        return file_of_folder(folder)
    first = [f"{word.partition('=')[0]}={values(word)[0]}" for word in words if "=" in word]
    return file_of_sweep(words, type(resolve(compose(first), first).config.task))


def _chosen(path: Path, wanted: int | None) -> tuple[int, PrintedTable, Shape | None, bool]:
    """Returns number, table, parts (None where it is of runs with seeds), and whether it is the file's only one."""
    tables = read_tables(path)
    if path.suffix.lower() in (".csv", ".tsv") and seed_column(tables[0]) is not None:
        return 1, tables[0], None, True
    shapes = {place: shape for place, table in enumerate(tables, start=1) if (shape := shape_of(table)) is not None}
    if not shapes:
        raise ConfigError(f"{path}: none of its {len(tables)} tables has numbers")
    if wanted is None and len(shapes) == 1:
        wanted = next(iter(shapes))
    if wanted not in shapes:
        listed = "; ".join(f"{place}: {_described(shape)}" for place, shape in shapes.items())
        which = "say which by --table N" if wanted is None else f"--table {wanted}: no such table with numbers"
        raise ConfigError(f"{path}: {which}: {listed}")
    return wanted, tables[wanted - 1], shapes[wanted], len(tables) == 1


def _described(shape: Shape) -> str:
    caption = shape.caption if len(shape.caption) <= 60 else f"{shape.caption[:57]}..."
    return f"{caption or 'without a caption'} ({len(shape.names)} rows, {len(shape.columns)} columns)"


def _written(out: Path, content: dict[str, Any], left: list[str], overrides: list[str], compose: Composition) -> int:
    """Says what was written, what is left to do, and plans it at once."""
    name = canonical(out.as_posix() if "/" in out.as_posix() else out.name)
    plan = Planner(root_of(overrides), compose=compose).plan(name, overrides)
    numbers = len(plan.table.published)
    print(
        f"{out} written: {len(content['rows'])} rows, {len(content['columns'])} columns, {numbers} published numbers,"
        f" {len(plan.table.claims)} claims"
    )
    for line in left:
        print(f"  to do: {line}")
    print(state(plan))
    print(f"Next: exp table {name}" + (f" (after the lines with todo in {out})" if left else ""))
    return 0

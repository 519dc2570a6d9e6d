"""``exp table NAME``: one table, shown beside what was published, or run first; and the report of all that have run."""

import argparse
import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from exp.cells.files import refuse_unwritable, writing
from exp.cells.terminal import pasted, places
from exp.commands.train import train
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.sweep.lines import new_console
from exp.tables import choices, looks, words
from exp.tables.choices import root_of
from exp.tables.compare import Comparison, compare, open_rows
from exp.tables.given import changing
from exp.tables.plan import Planner, TablePlan
from exp.tables.reading import known_tables
from exp.tables.statistics import MIN_SEEDS

ELSEWHERE = "give another place with --out"
"""What to do where a table's file cannot be written."""


def run_table(name: str, options: argparse.Namespace, overrides: list[str], compose: Composition) -> int:
    """Shows a table, or runs it and shows what came out; returns the exit code.

    Args:
        name: The table.
        options: The command line's options.
        overrides: Overrides that hold for every cell.
        compose: Composes overrides.

    Raises:
        ConfigError: An override is wrong, nothing of the table can run, or the file cannot be written.
        DataError: A data set is missing or damaged.
    """
    code = 0
    if options.out and options.run:
        with writing(ELSEWHERE):
            next(options.out.absolute().parent.iterdir(), None)
    if options.run:
        if options.dry:
            return _run(name, [*overrides, "sweep.dry=true"], options, compose)
        code = (_resolve if options.resolve else _run)(name, overrides, options, compose)
        if code == 130:
            return code
    root = root_of(overrides)
    plan, hints = shown_plan(name, overrides, root, compose)
    comparison = compare(plan)
    if options.out:
        text = _text(comparison, options.format, options.out, document=options.document)
        with writing(ELSEWHERE):
            options.out.write_text(text, encoding="utf-8")
        print(f"{options.out} written", file=sys.stderr)
    elif options.format != "terminal":
        sys.stdout.write(_text(comparison, options.format, document=options.document))
    elif not options.run:
        _show(comparison)
    if options.format == "terminal" and not options.out:
        single = options.run and len(plan.seeds) == 1
        print("\n".join([*(words.schedule(comparison) if options.resolve else []), *([] if single else hints)]))
    if options.run and root.is_dir():
        write_report(root, {name: [plan.given.variant()]}, compose)
    if options.check:
        for failure in comparison.failures:
            print(failure, file=sys.stderr)
        code = code or int(bool(comparison.failures))
    return code


def shown_plan(name: str, overrides: list[str], root: Path, compose: Composition) -> tuple[TablePlan, list[str]]:
    """Returns the table under its overrides; without any, and with nothing of it run, as it was run last.

    With it come lines for the user: other ways in which it was run, and what to type next.
    """
    planner = Planner(root, compose=compose)
    plan = planner.plan(name, overrides)
    others = [variant for variant in choices.variants(root, name) if variant != plan.given.variant()]
    if not others:
        return plan, _hints(plan)
    if changing(overrides) or any(one.result for row in plan.rows for one in row.cells):
        also = [f"also run: {pasted('exp', 'table', name, *places(), *variant)}" for variant in others]
        return plan, [*also, *_hints(plan)]
    last = planner.plan(name, [*overrides, *others[-1]])
    return last, [f"shown as it was run last, with {' '.join(others[-1])}; as published nothing of it has run yet"]


def _hints(plan: TablePlan) -> list[str]:
    if plan.problem and not plan.waits:
        return []
    command = ["exp", "table", *places(), plan.table.name]
    if not plan.complete:
        run = f"Next: {pasted(*command, '--run', *plan.overrides)}"
        return [f"{run}  (runs {' and '.join(plan.table.needs)} first)" if plan.waits else run]
    return [f"Next: {pasted(*command, *plan.overrides, '--format', 'html', '--out', f'{plan.table.name}.html')}"]


def _run(name: str, overrides: list[str], options: argparse.Namespace, compose: Composition) -> int:
    """Runs the sweep that ``exp --multirun table=NAME`` is; its output leaves room for a format on standard output."""
    where = [f"--config-name={compose.name}"] if compose.name != "config" else []
    if compose.folders:
        where.append(f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in compose.folders)}]")
    quiet = options.format != "terminal"
    with contextlib.redirect_stdout(sys.stderr) if quiet else contextlib.nullcontext():
        return train(["--multirun", *where, f"table={name}", *overrides])


def _resolve(name: str, overrides: list[str], options: argparse.Namespace, compose: Composition) -> int:
    """Runs a table, then adds seeds to rows that are open, look by look, until the schedule ends.

    Raises:
        ConfigError: The table has too few seeds to begin with, or what ``_run`` raises.
    """
    root = root_of(overrides)
    plan = Planner(root, compose=compose).plan(name, overrides)
    if len(plan.seeds) < MIN_SEEDS:
        raise ConfigError(
            f"--resolve: the first look needs {MIN_SEEDS} seeds at least, not {len(plan.seeds)}; give more by seed="
        )
    schedule = plan.schedule or looks.started(plan.seeds, options.budget)
    schedule = replace(schedule, budget=options.budget, ended="")
    refuse_unwritable(root)
    while not schedule.ended:
        looks.keep(root, name, plan.given, schedule)
        code = _run(name, overrides, options, compose)
        if code == 130:
            return code
        plan = Planner(root, compose=compose).plan(name, overrides)
        schedule = schedule.next(open_rows(compare(plan)))
    looks.keep(root, name, plan.given, schedule)
    return code


def _text(comparison: Comparison, form: str, out: Path | None = None, *, document: bool = False) -> str:
    if form == "terminal":
        console = new_console()
        with console.capture() as captured:
            _show(comparison, console)
        return captured.get()
    if form == "html":
        from exp.tables.report import page

        return page([comparison], (out or Path("page.html")).absolute().parent)
    from exp.tables.render import as_csv, as_json, latex, markdown

    if form == "tex":
        return latex(comparison, document=document)
    return {"md": markdown, "csv": as_csv, "json": as_json}[form](comparison) + ("\n" * (form == "json"))


def _show(comparison: Comparison, console: Console | None = None) -> None:
    from exp.tables.terminal import print_table

    print_table(comparison, console or new_console())


def write_report(root: Path, wanted: dict[str, list[list[str]]], compose: Composition) -> Path:
    """Writes the report of ``comparisons`` and returns its path.

    Raises:
        ConfigError: The folder of cells cannot be written to.
    """
    from exp.tables.report import write

    compared = comparisons(root, wanted, compose)
    with writing("the report and its figures lie beside the cells; give another folder with cells.dir="):
        return write(compared, root)


def comparisons(root: Path, wanted: dict[str, list[list[str]]], compose: Composition) -> list[Comparison]:
    """Returns the tables asked for, and every other that has run.

    Args:
        root: Folder of all cells.
        wanted: Variants of tables, by table; each is a list of overrides.
        compose: Composes overrides.
    """
    planner = Planner(root, compose=compose)
    compared: list[Comparison] = []
    for name in dict.fromkeys([*wanted, *known_tables(root)]):
        variants = wanted.get(name) or choices.variants(root, name)
        try:
            plans = [planner.plan(name, [f"cells.dir={root}", *one]) for one in _different(variants)]
        except ConfigError as error:
            if name in wanted:
                raise
            print(f"not in the report: {error}", file=sys.stderr)
            continue
        compared += map(compare, plans)
    return compared


def _different(variants: list[list[str]]) -> list[list[str]]:
    return [one for place, one in enumerate(variants) if one not in variants[:place]]

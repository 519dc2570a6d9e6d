"""``exp table [NAME] [OPTION=VALUE] ...``: published tables, how far each is, what it says beside what was published.

Without a name: the tables there are and how complete each is. With one: the table; --run runs the missing cells.
Overrides hold for every cell; one of an option that the rows vary keeps those rows.
"""

import argparse
import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from exp.commands.front import add_composition, add_format, composition
from exp.commands.train import train
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.sweep.front import new_console
from exp.tables import choices, looks, words
from exp.tables.compare import Comparison, compare, open_rows
from exp.tables.given import changing, root_of
from exp.tables.plan import Planner, TablePlan
from exp.tables.reading import load, names
from exp.tables.statistics import MIN_SEEDS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="*", metavar="NAME | OPTION=VALUE", help="a table, and overrides of its cells")
    parser.add_argument("--run", action="store_true", help="run the cells that are missing")
    parser.add_argument(
        "--resolve", action="store_true", help="with --run: add seeds to rows until their verdicts are clear"
    )
    parser.add_argument("--budget", type=int, metavar="N", help="with --resolve: add at most N cells")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; standard output if not given")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit 1 where a number is outside tolerance, a claim is refuted, or nothing has run",
    )
    add_composition(parser)
    add_format(parser, "terminal", "md", "tex", "html", "csv", "json")


def run(options: argparse.Namespace) -> int:
    """Lists the tables, or shows or runs one.

    Raises:
        ConfigError: There is no such table, an override is wrong, or nothing of it can run.
        DataError: A data set is missing or damaged.
    """
    if options.resolve and not options.run:
        raise ConfigError("--resolve: adds cells, so that it needs --run")
    if options.budget is not None and (not options.resolve or options.budget < 1):
        raise ConfigError(f"--budget={options.budget}: a number of cells from 1 up that --run --resolve may add")
    tables = [word for word in options.words if "=" not in word]
    overrides, compose = composition(options, [word for word in options.words if "=" in word])
    if not tables:
        if options.run or options.check:
            raise ConfigError(f"say which table: {', '.join(names())}")
        return _list(overrides, compose)
    if len(tables) > 1:
        raise ConfigError(f"{' '.join(tables)}: one table at a time")
    return _one(tables[0], overrides, options, compose)


def _one(name: str, overrides: list[str], options: argparse.Namespace, compose: Composition) -> int:
    code = 0
    if options.run:
        code = (_resolve if options.resolve else _run)(name, overrides, options, compose)
        if code == 130:
            return code
    root = root_of(overrides)
    plan, hints = shown_plan(name, overrides, root, compose)
    comparison = compare(plan)
    if options.out:
        options.out.write_text(_text(comparison, options.format), encoding="utf-8")
        print(f"{options.out} written", file=sys.stderr)
    elif options.format != "terminal":
        sys.stdout.write(_text(comparison, options.format))
    elif not options.run:
        _show(comparison)
    if options.format == "terminal" and not options.out:
        print("\n".join([*(words.schedule(comparison) if options.resolve else []), *hints]))
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
        also = [f"also run: exp table {name} {' '.join(variant)}" for variant in others]
        return plan, [*also, *_hints(plan)]
    last = planner.plan(name, [*overrides, *others[-1]])
    return last, [f"shown as it was run last, with {' '.join(others[-1])}; as published nothing of it has run yet"]


def _hints(plan: TablePlan) -> list[str]:
    if plan.problem:
        return []
    variant = f" {plan.variant}" if plan.variant else ""
    if not plan.complete:
        return [f"Next: exp table {plan.table.name} --run{variant}"]
    return [f"Next: exp table {plan.table.name}{variant} --format html --out {plan.table.name}.html"]


def _run(name: str, overrides: list[str], options: argparse.Namespace, compose: Composition) -> int:
    """Runs the sweep that ``exp --multirun table=NAME`` is; its output leaves room for a format on standard output."""
    load(name)
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
    while not schedule.ended:
        looks.keep(root, name, plan.given, schedule)
        code = _run(name, overrides, options, compose)
        if code == 130:
            return code
        plan = Planner(root, compose=compose).plan(name, overrides)
        schedule = schedule.next(open_rows(compare(plan)))
    looks.keep(root, name, plan.given, schedule)
    return code


def _text(comparison: Comparison, form: str) -> str:
    if form == "terminal":
        console = new_console()
        with console.capture() as captured:
            _show(comparison, console)
        return captured.get()
    if form == "html":
        from exp.tables.report import page

        return page([comparison], comparison.plan.root)
    from exp.tables.render import as_csv, as_json, latex, markdown

    return {"md": markdown, "tex": latex, "csv": as_csv, "json": as_json}[form](comparison) + ("\n" * (form == "json"))


def _show(comparison: Comparison, console: Console | None = None) -> None:
    from exp.tables.terminal import print_table

    print_table(comparison, console or new_console())


def _list(overrides: list[str], compose: Composition) -> int:
    root = root_of(overrides)
    planner = Planner(root, stale=False, compose=compose)
    grid = Grid(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("table", "done", "", "title"):
        grid.add_column(heading, no_wrap=heading != "title")
    for name in names():
        plan = planner.plan(name, overrides)
        state = "" if not plan.problem else "waits" if plan.waits else "not in this installation"
        grid.add_row(name, _done(plan), state, escape(plan.table.title))
        for variant in choices.variants(root, name):
            if variant != plan.given.variant():
                grid.add_row(
                    "", _done(planner.plan(name, [*overrides, *variant])), "", f"[dim]{' '.join(variant)}[/dim]"
                )
    new_console().print(grid)
    print("\nNext: exp table NAME, then --run; exp report writes report.html")
    return 0


def _done(plan: TablePlan) -> str:
    done = sum(row.count("done", "stale") for row in plan.rows)
    failed = sum(row.count("failed", "diverged") for row in plan.rows)
    return f"{done}/{plan.expected}" + (f", {failed} failed" if failed else "")


def write_report(root: Path, wanted: dict[str, list[list[str]]], compose: Composition) -> Path:
    """Writes the report and returns its path: the tables asked for, and every other that has run.

    Args:
        root: Folder of all cells.
        wanted: Variants of tables, by table; each is a list of overrides.
        compose: Composition overrides.
    """
    from exp.tables.report import write

    planner = Planner(root, compose=compose)
    for name in names():
        wanted.setdefault(name, choices.variants(root, name))
    comparisons = []
    for name in names():
        known = []
        for variant in wanted[name]:
            if variant not in known:
                known.append(variant)
                comparisons.append(compare(planner.plan(name, [f"cells.dir={root}", *variant])))
    return write(comparisons, root)

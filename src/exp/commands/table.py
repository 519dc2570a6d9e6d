"""``exp table [NAME] [OPTION=VALUE] ...``: published tables, how far each is, what it says beside what was published.

Without a name: the tables there are and how complete each is. With one: the table; --run runs the missing cells.
Overrides hold for every cell; one of an option that the rows vary keeps those rows.

    exp table new paper.tex --table 2             a paper's table becomes one that runs (.tex, .md, .html, .csv, .txt)
    exp table new runs.csv                        so do other tools' runs with a column of seeds
    exp table new --from-sweep 'att=none,ca seed=0,1,2'     and cells that were run without a table
    exp table new --from-sweep multirun/attention
"""

import argparse
import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from exp.cells.terminal import pasted, places
from exp.commands.front import add_composition, add_format, composition
from exp.commands.table_new import new_table
from exp.commands.train import train
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.sweep.front import new_console
from exp.tables import choices, looks, words
from exp.tables.compare import Comparison, compare, open_rows
from exp.tables.given import changing, root_of
from exp.tables.plan import Planner, TablePlan
from exp.tables.reading import canonical, names, own_names
from exp.tables.statistics import MIN_SEEDS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="*", metavar="NAME | OPTION=VALUE", help="a table, and overrides of its cells")
    parser.add_argument("--run", action="store_true", help="run the cells that are missing")
    parser.add_argument(
        "--resolve", action="store_true", help="with --run: add seeds to rows until their verdicts are clear"
    )
    parser.add_argument("--budget", type=int, metavar="N", help="with --resolve: add at most N cells")
    parser.add_argument("--dry", action="store_true", help="with --run: tell what would run and what it would take")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; standard output if not given")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit 1 where a number is outside tolerance, a claim is refuted, or nothing has run",
    )
    parser.add_argument(
        "--document", action="store_true", help="with --format tex: a document, not a fragment to input"
    )
    parser.add_argument("--table", type=int, metavar="N", help="new: which table of the file, from 1")
    parser.add_argument("--from-sweep", metavar="CELLS", help="new: overrides of a sweep, or a folder of cells")
    parser.add_argument("--force", action="store_true", help="new: replace a file that is there")
    add_composition(parser)
    add_format(parser, "terminal", "md", "tex", "html", "csv", "json")


def run(options: argparse.Namespace) -> int:
    """Lists the tables, or shows or runs one.

    Raises:
        ConfigError: There is no such table, an override is wrong, or nothing of it can run.
        DataError: A data set is missing or damaged.
    """
    if options.resolve and not options.run:
        raise ConfigError("--resolve: goes with --run, since it adds cells")
    if options.budget is not None and (not options.resolve or options.budget < 1):
        raise ConfigError(f"--budget={options.budget}: a number of cells from 1 up that --run --resolve may add")
    if options.dry and (not options.run or options.resolve):
        raise ConfigError("--dry: goes with --run and without --resolve; it tells what would run, and how long")
    whole = [word for word in options.words if word.startswith(("sweep.budget=", "sweep.notify=", "sweep.dry="))]
    if options.resolve and whole:
        raise ConfigError(f"{whole[0]}: is for one sweep, and --resolve makes several; leave it out")
    tables = [word for word in options.words if "=" not in word]
    overrides, compose = composition(options, [word for word in options.words if "=" in word])
    if options.words[:1] == ["new"]:
        return new_table(options, options.words[1:], compose)
    if options.table or options.from_sweep or options.force:
        raise ConfigError("--table, --from-sweep and --force are of exp table new")
    if not tables:
        if options.run or options.check:
            raise ConfigError(f"say which table: {', '.join([*own_names(), *names()])}")
        return _list(overrides, compose)
    if len(tables) > 1:
        raise ConfigError(f"{' '.join(tables)}: one table at a time")
    return _one(canonical(tables[0]), overrides, options, compose)


def _one(name: str, overrides: list[str], options: argparse.Namespace, compose: Composition) -> int:
    code = 0
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
        options.out.write_text(
            _text(comparison, options.format, options.out, document=options.document), encoding="utf-8"
        )
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
    if plan.problem:
        return []
    command = ["exp", "table", *places(), plan.table.name]
    if not plan.complete:
        return [f"Next: {pasted(*command, '--run', *plan.overrides)}"]
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


def _list(overrides: list[str], compose: Composition) -> int:
    root = root_of(overrides)
    planner = Planner(root, judged=False, compose=compose)
    grid = Grid(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("table", "done", "", "title"):
        grid.add_column(heading, no_wrap=heading != "title")
    for name in known_tables(root):
        try:
            plan = planner.plan(name, overrides)
        except ConfigError as error:
            if name in names():
                raise
            grid.add_row(name, "", "[red]wrong[/red]", escape(str(error)))
            continue
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
    """Writes the report of ``comparisons`` and returns its path."""
    from exp.tables.report import write

    return write(comparisons(root, wanted, compose), root)


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


def known_tables(root: Path) -> list[str]:
    """Returns the names of the user's own tables, of those that ship, and of those elsewhere that were run."""
    listed = [*own_names(), *names()]
    return [
        *listed,
        *(name for name in choices.remembered(root) if name not in listed and Path(f"{name}.yaml").is_file()),
    ]


def _different(variants: list[list[str]]) -> list[list[str]]:
    return [one for place, one in enumerate(variants) if one not in variants[:place]]

"""``python -m exp.table``: the tables, how far each is, what they say beside what was published."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from exp.errors import ConfigError, DataError
from exp.sweep.front import new_console
from exp.tables import choices
from exp.tables.compare import Comparison, compare
from exp.tables.given import root_of, telling
from exp.tables.plan import Planner, TablePlan
from exp.tables.spec import load, names

FORMATS = ("terminal", "md", "tex", "html", "csv", "json")


def main() -> None:
    """Runs the command line and exits with 0, 1 (a cell or a check failed), 2 (cannot stand) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The command line's exit code."""
    options = _parser().parse_intermixed_args(arguments)
    tables = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    try:
        if options.report:
            return _report(tables or names(), overrides)
        if not tables:
            return _list(overrides, options.run or options.check)
        if len(tables) > 1:
            raise ConfigError(f"{' '.join(tables)}: one table at a time")
        return _one(tables[0], overrides, options)
    except (ConfigError, DataError) as error:
        print(f"exp.table: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exp.table",
        description="Ablation tables you can run. Without a name: the tables there are and how complete each is.",
    )
    parser.add_argument("words", nargs="*", metavar="NAME | OPTION=VALUE", help="a table, and overrides of its cells")
    parser.add_argument("--run", action="store_true", help="run the cells that are missing")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="how to show the table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; standard output if not given")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 where a number is outside tolerance or a claim is refuted"
    )
    parser.add_argument("--report", action="store_true", help="write report.html with every table that has run")
    return parser


def _one(name: str, overrides: list[str], options: argparse.Namespace) -> int:
    code = 0
    if options.run:
        code = _run(name, overrides, quiet=options.format != "terminal")
        if code == 130:
            return code
    root = root_of(overrides)
    plan, said = shown_plan(name, overrides, root)
    comparison = compare(plan)
    if options.out:
        options.out.write_text(_text(comparison, options.format), encoding="utf-8")
        print(f"{options.out} written", file=sys.stderr)
    elif options.format != "terminal":
        sys.stdout.write(_text(comparison, options.format))
    elif not options.run:
        _show(comparison)
    if options.format == "terminal" and not options.out:
        for line in said:
            print(line)
    if options.run and root.is_dir():
        _write_report(root, {name: [plan.given.telling()]})
    if options.check:
        for failure in comparison.failures:
            print(failure, file=sys.stderr)
        code = code or int(bool(comparison.failures))
    return code


def shown_plan(name: str, overrides: list[str], root: Path) -> tuple[TablePlan, list[str]]:
    """The table under its overrides; without any, and with nothing of it run, as it was run last."""
    planner = Planner(root)
    plan = planner.plan(name, overrides)
    others = [variant for variant in choices.variants(root, name) if variant != plan.given.telling()]
    if not others:
        return plan, _hints(plan)
    if telling(overrides) or any(one.result for row in plan.rows for one in row.cells):
        also = [f"also run: python -m exp.table {name} {' '.join(variant)}" for variant in others]
        return plan, [*also, *_hints(plan)]
    last = planner.plan(name, [*overrides, *others[-1]])
    return last, [f"shown as it was run last, with {' '.join(others[-1])}; as published nothing of it has run yet"]


def _hints(plan: TablePlan) -> list[str]:
    if plan.problem:
        return []
    variant = f" {plan.variant}" if plan.variant else ""
    if not plan.complete:
        return [f"Next: python -m exp.table {plan.table.name} --run{variant}"]
    return [f"Next: python -m exp.table {plan.table.name}{variant} --format html --out {plan.table.name}.html"]


def _run(name: str, overrides: list[str], *, quiet: bool) -> int:
    """The sweep that ``python -m exp --multirun table=NAME`` is.

    Args:
        name: The table.
        overrides: Its command line.
        quiet: Whether what the sweep prints goes to standard error, since a format goes to standard output.
    """
    import contextlib

    from exp.__main__ import run as sweep

    load(name)
    arguments = ["--multirun", f"table={name}", *overrides]
    typed, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        with contextlib.redirect_stdout(sys.stderr) if quiet else contextlib.nullcontext():
            return sweep(arguments)
    finally:
        sys.argv = typed


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


def _list(overrides: list[str], asked: bool) -> int:
    if asked:
        raise ConfigError(f"say which table: {', '.join(names())}")
    root = root_of(overrides)
    planner = Planner(root, stale=False)
    grid = Grid(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("table", "done", "", "title"):
        grid.add_column(heading, no_wrap=heading != "title")
    for name in names():
        plan = planner.plan(name, overrides)
        state = "" if not plan.problem else "waits" if plan.waits else "not in this installation"
        grid.add_row(name, _done(plan), state, escape(plan.table.title))
        for variant in choices.variants(root, name):
            if variant != plan.given.telling():
                grid.add_row(
                    "", _done(planner.plan(name, [*overrides, *variant])), "", f"[dim]{' '.join(variant)}[/dim]"
                )
    new_console().print(grid)
    print("\nNext: python -m exp.table NAME, then --run; python -m exp.table --report writes report.html")
    return 0


def _done(plan: TablePlan) -> str:
    done = sum(row.count("done", "stale") for row in plan.rows)
    failed = sum(row.count("failed", "diverged") for row in plan.rows)
    return f"{done}/{plan.expected}" + (f", {failed} failed" if failed else "")


def _report(tables: list[str], overrides: list[str]) -> int:
    root = root_of(overrides)
    asked = telling(overrides)
    for name in tables:
        load(name)
    path = _write_report(root, {name: [asked] if asked else [[], *choices.variants(root, name)] for name in tables})
    print(f"{path} written")
    return 0


def _write_report(root: Path, wanted: dict[str, list[list[str]]]) -> Path:
    """Writes the report: the tables asked for, and every other that has run."""
    from exp.tables.report import write

    planner = Planner(root)
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


if __name__ == "__main__":
    main()

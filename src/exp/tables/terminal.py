"""A table on the terminal, in as many columns as the terminal has: nothing is cut, what does not fit goes below."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from exp.sweep.lines import GAP, STYLES, print_lines
from exp.tables import words
from exp.tables.compare import Comparison


def print_table(comparison: Comparison, console: Console) -> None:
    """Prints a table: what it is, how far it is, a block a metric, cost, claims, notes."""
    plan = comparison.plan
    console.print(f"[bold]{escape(plan.table.name)}[/bold]  {escape(plan.table.title)}", soft_wrap=False)
    for source in plan.table.sources.values():
        _say(console, f"source: {words.source(source)}", "dim")
    variant = f"{plan.variant}: " if plan.variant else ""
    _say(console, f"{variant}{words.state(plan)}")
    if label := words.label(plan):
        _say(console, f"{words.label_words(plan)}: {label}{_no_delta(comparison)}", "yellow")
    for note in words.remarks(comparison):
        _say(console, note, "yellow")
    if any(entry.values for entry in comparison.entries.values()) or any(row.results for row in plan.rows):
        for column in plan.table.columns:
            console.print()
            print_metric(comparison, column, console)
    else:
        console.print()
        print_lines(*_untouched(comparison), console)
    if any(comparison.costs.values()):
        console.print()
        print_lines(*_costs(comparison), console)
    if comparison.claims:
        console.print()
        console.print(_claims(comparison), soft_wrap=False)
    for note in words.notes(comparison):
        _say(console, f"note: {note}", "dim")


def _say(console: Console, text: str, style: str = "") -> None:
    """Prints a text whose lines break between words."""
    console.print(Text(text, style=style), soft_wrap=False)


def _no_delta(comparison: Comparison) -> str:
    plan = comparison.plan
    hidden = plan.table.published and not all(row.label.comparable for row in plan.rows)
    return "; so no difference to a published number is shown" if hidden else ""


def print_metric(comparison: Comparison, column: str, console: Console) -> None:
    """Prints a metric: a line a row, or two where the terminal is narrow."""
    rows = [words.fields(comparison.entry(row.row.name, column)) for row in comparison.plan.rows]
    used = words.used(comparison, column)
    _say(console, words.criteria(comparison, column), "bold")
    names = words.headings(comparison)
    print_lines([names[place] for place in used], [[row[place] for place in used] for row in rows], console)
    if wanted := words.seeds_wanted(comparison, column):
        _say(console, wanted, "dim")


def _untouched(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """What a table has before anything of it has run: its rows, with what was published."""
    plan = comparison.plan
    columns = [
        name for name in plan.table.columns if any(comparison.entry(r.row.name, name).published for r in plan.rows)
    ]
    headings = ["row", "cells", *(f"{name}, published" for name in columns)]
    rows = [
        [row.row.name, words.cells(row), *(words.published(comparison.entry(row.row.name, name)) for name in columns)]
        for row in plan.rows
    ]
    return headings, rows


def _costs(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    rows = [[row.row.name, *words.costs(comparison, row.row.name)] for row in comparison.plan.rows]
    return ["row", *words.COST_NAMES.values()], rows


def _claims(comparison: Comparison) -> Table:
    grid = Table(box=None, pad_edge=False, show_edge=False, show_header=False, padding=(0, GAP, 0, 0))
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("claim")
    measured = any(entry.values for entry in comparison.entries.values())
    for claim, column, p, verdict, detail, note in words.claims(comparison):
        text = Text(f"{claim} ({column})")
        if measured:
            rests = f"p {p}" if p else ""
            text.append(f"\n{'; '.join(filter(None, (detail, rests, note)))}", style="dim")
        elif note:
            text.append(f"; {note}", style="dim")
        grid.add_row(Text(verdict if measured else "claimed", style=STYLES.get(verdict, "")), text)
    return grid

"""A table on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exp.tables import words
from exp.tables.compare import Comparison

STYLES = {"better": "green", "worse": "red", "refuted": "red", "supported": "green"}


def print_table(comparison: Comparison, console: Console) -> None:
    """Prints a table: what it is, how far it is, a block a metric, cost, claims, notes."""
    plan = comparison.plan
    console.print(f"[bold]{plan.table.name}[/bold]  {escape(plan.table.title)}")
    for source in plan.table.sources.values():
        console.print(escape(f"source: {words.source(source)}"), style="dim")
    variant = f"{plan.variant}: " if plan.variant else ""
    console.print(escape(f"{variant}{words.state(plan)}"))
    if label := words.label(plan):
        console.print(f"[yellow]not as published:[/yellow] {escape(label)}{_no_delta(comparison)}")
    for note in words.remarks(comparison):
        console.print(escape(note), style="yellow")
    for column in plan.table.columns:
        console.print()
        console.print(_block(comparison, column))
    if any(comparison.costs.values()):
        console.print()
        console.print(_costs(comparison))
    if comparison.claims:
        console.print()
        console.print(_claims(comparison))
    for note in words.notes(comparison):
        console.print(f"note: {note}", style="dim", markup=False)


def _no_delta(comparison: Comparison) -> str:
    plan = comparison.plan
    hidden = plan.table.published and not all(row.label.comparable for row in plan.rows)
    return "; so no difference to a published number is shown" if hidden else ""


def _grid() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold", show_edge=False)


def _block(comparison: Comparison, column: str) -> Table:
    grid = _grid()
    grid.title, grid.title_justify, grid.title_style = words.criteria(comparison, column), "left", "bold"
    rows = [words.fields(comparison.entry(row.row.name, column)) for row in comparison.plan.rows]
    used = [i for i in range(len(words.HEADINGS)) if i < 3 or any(row[i] for row in rows)]
    for i in used:
        wide = words.HEADINGS[i] in ("row", "verdict", "cells")
        grid.add_column(words.HEADINGS[i], justify="left" if wide else "right", no_wrap=True)
    for fields in rows:
        grid.add_row(*(_styled(fields[i]) for i in used))
    return grid


def _styled(text: str) -> str:
    style = STYLES.get(text.partition(";")[0])
    return f"[{style}]{escape(text)}[/{style}]" if style else escape(text)


def _costs(comparison: Comparison) -> Table:
    grid = _grid()
    for heading in ("row", *words.COST_NAMES.values()):
        grid.add_column(heading, justify="left" if heading == "row" else "right", no_wrap=True)
    for row in comparison.plan.rows:
        grid.add_row(escape(row.row.name), *words.costs(comparison, row.row.name))
    return grid


def _claims(comparison: Comparison) -> Table:
    grid = _grid()
    for heading in words.CLAIM_HEADINGS:
        grid.add_column(heading)
    for claim, column, p, verdict, detail, note in words.claims(comparison):
        grid.add_row(escape(claim), escape(column), p, _styled(verdict), escape(detail), escape(note))
    return grid

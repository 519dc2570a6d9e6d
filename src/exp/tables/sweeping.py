"""How an ordinary sweep ends: its table, verdicts from three seeds up, and which two cells to look at next."""

import itertools
from dataclasses import replace

from rich.console import Console

from exp.sweep.plan import Plan, Planned
from exp.sweep.screen import Screen
from exp.tables.adhoc import table_of
from exp.tables.compare import Comparison, compare
from exp.tables.statistics import MIN_SEEDS
from exp.tables.terminal import print_metric


class SweepScreen(Screen):
    """A sweep of the command line."""

    def end(self, planned: Plan, console: Console) -> None:
        """Prints a row a combination, seeds averaged; with enough seeds, each against the first combination."""
        super().end(planned, console)
        comparison = compare(table_of(_ended(planned)))
        rows = comparison.plan.rows
        if len(rows) < 2 or max(len(row.results) for row in rows) < MIN_SEEDS:
            return
        for column in comparison.plan.table.columns:
            console.print()
            print_metric(comparison, column, console)
        console.print(
            f"against {comparison.plan.table.reference}, paired by seed; p after Holm's correction",
            style="dim",
            markup=False,
        )

    def pair(self, planned: Plan) -> list[Planned]:
        """Returns the cells of the best combination and the next best one that share a seed."""
        comparison = compare(table_of(_ended(planned)))
        ranked = _ranked(comparison)
        for first, second in itertools.pairwise(ranked):
            by_seed = {one.seed: one for one in second}
            shared = [(one, by_seed[one.seed]) for one in first if one.seed in by_seed]
            if shared:
                return list(shared[0])
        return []


def _ended(planned: Plan) -> list[Planned]:
    """Returns the cells as they are after the sweep."""
    return [
        replace(one, state="stale" if one.state == "stale" and not one.todo else one.cell.status()["state"])
        for one in planned.cells
    ]


def _ranked(comparison: Comparison) -> list[list[Planned]]:
    """Cells that are done of each combination, the best mean of the first metric first."""
    columns = list(comparison.plan.table.columns.values())
    if not columns:
        return []
    sign = 1 if columns[0].higher else -1
    entries = [comparison.entry(row.row.name, columns[0].name) for row in comparison.plan.rows]
    known = sorted(
        (entry for entry in entries if entry.mean is not None), key=lambda entry: -sign * (entry.mean or 0.0)
    )
    return [[one for one in entry.row.cells if one.result is not None] for entry in known]

"""Runs a table's missing cells through the sweeper, the tables it takes choices from first."""

import hashlib
import sys
from collections.abc import Callable, Iterable

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

from exp.cells.files import refuse_unwritable
from exp.cells.terminal import typed_command
from exp.options.errors import ConfigError
from exp.run import exit_code
from exp.sweep.course import Course
from exp.sweep.hydra import composer, run_cells
from exp.sweep.plan import Plan, Planned
from exp.sweep.screen import Screen
from exp.tables import choices
from exp.tables.choices import root_of
from exp.tables.compare import Comparison, compare
from exp.tables.plan import Planner, TablePlan, inherited
from exp.tables.reading import canonical, load
from exp.tables.terminal import print_table

Sweep = Callable[[list[list[str]], Screen], int]
"""Runs cells under a screen; returns the exit code."""


class TableScreen(Screen):
    """Calls cells by the table's rows and ends with the table.

    Args:
        plan: The table as it was before the sweep.
        planner: Plans it again at the end.

    Attributes:
        table: The table's name.
        prints: Whether it ends with the table.
    """

    def __init__(self, plan: TablePlan, planner: Planner) -> None:
        self._plan = plan
        self._planner = planner
        self.table = plan.table.name
        self.prints = True

    def names(self, cells: Iterable[Planned]) -> dict[str, str]:
        """The row of each cell by the cell's key, the first where several rows share it, and the seed."""
        parts = [part for row in reversed(self._plan.rows) for part in row.each]
        rows = {one.cell.resolved.key: part.title for part in parts for one in part.cells}
        return {one.resolved.key: f"{rows[one.resolved.key]} s{one.resolved.seed}" for one in cells}

    def pair(self, planned: Plan) -> list[Planned]:
        """Returns none: a table says what to look at itself."""
        return []

    def end(self, planned: Plan, console: Console) -> None:
        """Prints the table and logs it where its cells went to W&B."""
        compared = compare(self._planner.plan(self.table, self._plan.overrides))
        if self.prints:
            print_table(compared, console)
        _log(compared)


def run_tables(
    tables: str, overrides: list[str], context: HydraContext, task_function: TaskFunction, config: DictConfig
) -> int:
    """Runs ``table=NAME,NAME`` of a command line; leaves and returns the exit code.

    Args:
        tables: Names of tables, joined by commas.
        overrides: The rest of the command line.
        context: Hydra's.
        task_function: What another launcher than ours runs.
        config: What Hydra composed for the sweep.

    Raises:
        ConfigError: See ``Planner.plan``; or nothing of the table can run.
    """

    def sweep(cells: list[list[str]], screen: Screen) -> int:
        return run_cells(cells, context, task_function, config, screen, course)

    course = Course.of(config, typed_command())
    planner = Planner(root_of(overrides), compose=composer(context, config))
    exit_code.code = 0
    for name in map(canonical, tables.split(",")):
        code = run_with_needs(name, overrides, planner, sweep)
        if code == 0:
            code = _say_what_cannot_run(planner.plan(name, overrides))
        exit_code.code = max(exit_code.code, code)
        if code == 130:
            break
    return course.end(exit_code.code)


def _say_what_cannot_run(plan: TablePlan) -> int:
    """Prints the rows that cannot run under this command line; returns 1 where there is one, else 0."""
    impossible = [row for row in plan.rows if row.problem and not row.waits]
    for row in impossible:
        print(f"row {row.row.name} of table {plan.table.name} cannot run: {row.problem}", file=sys.stderr)
    return int(bool(impossible))


def run_with_needs(name: str, overrides: list[str], planner: Planner, sweep: Sweep) -> int:
    """Runs a table after those whose best row it takes over."""
    table = load(name)
    plan = planner.plan(name, overrides)
    if any(row.problem for row in plan.rows):
        for needed in table.needs:
            theirs = [*inherited(load(needed), table, plan.given, plan.seeds), *plan.given.run]
            code = run_with_needs(needed, theirs, planner, sweep)
            if code:
                return code
        plan = planner.plan(name, overrides)
    code = run_rows(plan, planner, sweep)
    if code == 0 and any(row.problem for row in plan.rows):
        again = planner.plan(name, overrides)
        if sum(bool(row.problem) for row in again.rows) < sum(bool(row.problem) for row in plan.rows):
            return run_rows(again, planner, sweep)
    return code


def run_rows(plan: TablePlan, planner: Planner, sweep: Sweep) -> int:
    """Runs the rows that can run and prints the table.

    Raises:
        ConfigError: None can, or the cells' folder cannot be written to.
    """
    dry = any(word.lower() == "sweep.dry=true" for word in plan.given.run)
    if plan.problem and dry and plan.waits:
        print(f"table {plan.table.name}: which cells it has, these results decide")
        return 0
    if plan.problem:
        raise ConfigError(f"table {plan.table.name}: nothing of it can run here: {plan.problem}")
    if not dry:
        refuse_unwritable(plan.root)
        choices.keep(plan.root, plan.table.name, plan.given, plan.chosen)
    cells = [[*one.overrides, *_run_only(plan)] for row in plan.rows for one in row.cells]
    return sweep(cells, TableScreen(plan, planner))


def _run_only(plan: TablePlan) -> list[str]:
    return [override for override in plan.given.run if not override.startswith("hydra")]


def _log(comparison: Comparison) -> None:
    """The table as a run of its own where its cells went to W&B."""
    plan = comparison.plan
    options = [one.resolved.config.logger for one in plan.cells]
    if not options or options[0].name != "wandb":
        return
    from exp.callbacks.wandb import log_table
    from exp.tables.render import records

    name = plan.table.name
    variant = hashlib.sha256(plan.variant.encode()).hexdigest()[:8]
    log_table(
        plan.root / "tables" / plan.table.slug,
        name,
        f"table-{plan.table.slug}-{variant}",
        options[0],
        records(comparison),
    )

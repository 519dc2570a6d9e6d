"""How far all tables are, planned as they are shown one by one."""

import functools
import json
from pathlib import Path

from exp.cells.files import finite
from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.options.resolve import Resolved
from exp.options.study import STUDIES
from exp.options.weights import OWN
from exp.sweep.plan import how_far
from exp.tables import choices
from exp.tables.listing import Line, Listed, Seeds, has_no_cells
from exp.tables.plan import Planner, TablePlan, data_content
from exp.tables.reading import known_tables, names

DONE = ("done", "stale")
FAILED = ("failed", "diverged")


class Survey:
    """Plans tables for the list.

    Args:
        root: Folder of all cells.
        overrides: Overrides that hold for every cell.
        name: The configuration to start from.
        folders: Further folders of configuration, absolute.
    """

    def __init__(self, root: Path, overrides: list[str], name: str, folders: tuple[str, ...]) -> None:
        self._root = root
        self._overrides = overrides
        self._compose = Composition(name, folders)
        self._bare = has_no_cells(root)

    @functools.cached_property
    def _planner(self) -> Planner:
        return Planner(self._root, judged=False, compose=self._compose)

    def all(self) -> dict[str, Listed]:
        """Returns the lines of every table.

        Raises:
            ConfigError: A table that ships cannot be planned.
        """
        return {table: self.of(table) for table in known_tables(self._root)}

    def of(self, table: str) -> Listed:
        """Returns a table's lines.

        Raises:
            ConfigError: It ships and cannot be planned, or was run in a way in which it cannot be planned.
        """
        try:
            plan = self._planner.plan(table, self._overrides)
        except ConfigError as error:
            if table in names():
                raise
            return Listed([Line(table, str(error), "wrong")])
        state = "" if not plan.problem else "waits" if plan.waits else "not in this installation"
        lines, plans = [_line(plan, table, plan.table.title, state)], [plan]
        for variant in choices.variants(self._root, table):
            if variant != plan.given.variant():
                plans.append(self._planner.plan(table, [*self._overrides, *variant]))
                lines.append(_line(plans[-1], "", " ".join(variant)))
        before_cells = self._bare and self._planner.lasting and all(map(_by_files_alone, plans))
        lasting = self._planner.lasting and all(map(_by_files_alone, plans)) and not plan.table.choices
        return Listed(lines, lasting, before_cells or lasting)

    def counted(self, line: Line) -> Line:
        """Returns a line with how many of its cells are done or failed now."""
        states = [state for cells in line.cells for state in self._states(cells)]
        done, failed = (sum(state in wanted for state in states) for wanted in (DONE, FAILED))
        return Line(line.name, line.title, line.state, line.expected, line.cells, done, failed)

    def _states(self, cells: Seeds) -> list[str]:
        if not (self._root / cells.choices["config"]["task"]["name"]).is_dir():
            return []
        first = Resolved.restored(cells.choices)
        content = data_content(first.config)
        return [how_far(first.seeded(seed, ()), content, self._root)[1] for seed in cells.seeds]


def _line(plan: TablePlan, name: str, title: str, state: str = "") -> Line:
    done, failed = (sum(row.count(*states) for row in plan.rows) for states in (DONE, FAILED))
    cells = [
        Seeds(part.cells[0].resolved.plain(), [one.seed for one in part.cells])
        for row in plan.rows
        for part in row.each
        if part.cells
    ]
    return Line(name, title, state, plan.expected, cells, done, failed)


def _by_files_alone(plan: TablePlan) -> bool:
    """Whether which cells a table has follows from code, YAML and tables, once choices are left aside."""
    parts = [part for row in plan.rows for part in row.each if not (row.row.todo or row.waits)]
    return all(part.cells and _restorable([one.resolved for one in part.cells]) for part in parts)


def _restorable(cells: list[Resolved]) -> bool:
    """Whether cells differ in the seed alone, depend on no file of data or weights and survive being written down."""
    first = cells[0]
    config, plain = first.config, first.plain()
    named = config.ckpt, getattr(config.data, "root", None), getattr(config.att, "target", None)
    return (
        not any(named)
        and config.model.init == OWN
        and config.task.name not in STUDIES
        and all(one.identity == first.identity | {"seed": one.seed} for one in cells)
        and json.loads(json.dumps(finite(plain))) == plain
    )

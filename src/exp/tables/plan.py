"""From a table and a command line to cells: which there are, how far each is, what stands in the way."""

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from exp import registry
from exp.cell import Cell
from exp.config.compose import composed, in_one_line
from exp.config.resolve import Resolved, resolve
from exp.errors import ConfigError, DataError
from exp.sweep.plan import Compose, Overlay
from exp.tables import given as command_line
from exp.tables.choices import Chosen, Undecided, choose
from exp.tables.composing import Composer
from exp.tables.given import Given
from exp.tables.labels import Label, label
from exp.tables.spec import Row, Table, load, spelt

STATES = ("done", "stale", "running", "waiting", "failed", "diverged", "missing")


@dataclass
class TableCell:
    """One seed of a row.

    Attributes:
        overrides: What the sweeper is given.
        state: done, stale, running, waiting, failed, diverged or missing.
        changed: What has changed since a stale cell ran.
    """

    seed: int
    overrides: list[str]
    cell: Cell
    state: str = "missing"
    changed: list[str] = field(default_factory=list)

    @functools.cached_property
    def result(self) -> dict[str, Any] | None:
        """The cell's result."""
        return self.cell.result()


@dataclass
class PlannedRow:
    """A row with its cells.

    Attributes:
        cells: One a seed; empty where the row cannot run.
        problem: Why it cannot run, empty where it can.
        waits: Whether that is a choice that other results decide.
        label: How its cells differ from what was published.
    """

    row: Row
    cells: list[TableCell] = field(default_factory=list)
    problem: str = ""
    waits: bool = False
    label: Label = field(default_factory=Label)

    @property
    def results(self) -> dict[int, tuple[Path, dict[str, Any]]]:
        """Folder and result of each cell that is done, by seed."""
        return {one.seed: (one.cell.path, one.result) for one in self.cells if one.result is not None}

    def count(self, *states: str) -> int:
        """Cells in any of the states."""
        return sum(one.state in states for one in self.cells)


@dataclass
class TablePlan:
    """A table under a command line.

    Attributes:
        overrides: The command line.
        seeds: Seeds of every row.
        rows: Rows that the command line keeps.
        left_out: Rows it does not.
        chosen: Choices taken over, by name.
        said: What a reader has to know: rows filtered, choices made.
    """

    table: Table
    overrides: list[str]
    given: Given
    root: Path
    seeds: tuple[int, ...]
    rows: list[PlannedRow]
    left_out: list[str]
    chosen: dict[str, Chosen]
    said: list[str]

    @property
    def cells(self) -> list[TableCell]:
        """All cells, a cell that stands in two rows once."""
        return list({one.cell.resolved.key: one for row in self.rows for one in row.cells}.values())

    @property
    def expected(self) -> int:
        """Cells there would be if every row could run."""
        return len(self.rows) * len(self.seeds)

    @property
    def complete(self) -> bool:
        """Whether every row has run with every seed, done or failed."""
        return all(
            row.cells and row.count("done", "stale", "failed", "diverged") == len(row.cells) for row in self.rows
        )

    @property
    def problem(self) -> str:
        """Why nothing of it can run, empty where something can."""
        return self.rows[0].problem if all(row.problem for row in self.rows) else ""

    @property
    def waits(self) -> bool:
        """Whether a row waits for a choice that other results decide."""
        return any(row.waits for row in self.rows)

    @property
    def variant(self) -> str:
        """The overrides that tell this run of the table from others."""
        return " ".join(self.given.telling())


class Planner:
    """Plans tables; composes each combination of choices once.

    Args:
        root: Folder of all cells.
        stale: Whether to look for changed data and code as well.
        compose: Composes overrides; under Hydra's own application its, else ours.
    """

    def __init__(self, root: Path, *, stale: bool = True, compose: Compose = composed) -> None:
        self.root = root
        self._stale = stale
        self._composer = Composer(root, compose)
        self._overlay = Overlay(self._composer)

    def plan(self, name: str, overrides: Iterable[str] = ()) -> TablePlan:
        """Plans a table.

        Args:
            name: The table.
            overrides: Overrides that hold for every cell; one of a key that rows vary keeps rows.

        Raises:
            ConfigError: There is no such table, an override is wrong, or no row is left.
        """
        table, overrides = load(name), list(overrides)
        given = command_line.sort(table, overrides)
        kept = given.kept(table)
        seeds = given.seeds if given.seeds is not None else table.seeds
        said = [
            f"{key}={','.join(wanted)}: {len(kept)} of {len(table.rows)} rows" for key, wanted in given.rows.items()
        ]
        chosen: dict[str, Chosen] = {}
        undecided: dict[str, str] = {}
        for key in table.choices:
            try:
                chosen[key] = choose(self, table, key, given, seeds)
                said.append(str(chosen[key]))
            except Undecided as waiting:
                undecided[key] = str(waiting)
        rows = [self._row(table, table.rows[one], given, seeds, chosen, undecided) for one in kept]
        errors = [row.problem for row in rows if row.problem]
        if len(errors) == len(rows) and not undecided:
            alone = [self._resolved(_own(table, table.rows[one], chosen)) for one in kept]
            if any(isinstance(one, Resolved) for one in alone):
                raise ConfigError(errors[0])
        self._composer.keep()
        left_out = [one for one in table.rows if one not in kept]
        return TablePlan(table, overrides, given, self.root, seeds, rows, left_out, chosen, said)

    def row_of(
        self, table: Table, row: str, given: Given, seeds: tuple[int, ...], chosen: dict[str, Chosen]
    ) -> PlannedRow:
        """One row, for a choice that depends on it."""
        return self._row(table, table.rows[row], given, seeds, chosen, {})

    def _row(
        self,
        table: Table,
        row: Row,
        given: Given,
        seeds: tuple[int, ...],
        chosen: dict[str, Chosen],
        undecided: dict[str, str],
    ) -> PlannedRow:
        needed = [key for key in table.choices if any(f"{{{key}}}" in spelt(v) for v in _options(table, row).values())]
        waiting = list(dict.fromkeys(undecided[key] for key in needed if key in undecided))
        if waiting:
            return PlannedRow(row, problem="; ".join(waiting), waits=True)
        origin = {"origin.table": table.name}
        if needed:
            words = "; ".join(f"{key}={chosen[key].value} from table {chosen[key].table}" for key in needed)
            origin["origin.chosen"] = f"'{words}'"
        options = _filled(table.base, chosen) | given.options | _filled(row.overrides, chosen) | origin
        cells = []
        for seed in seeds:
            overrides = [f"{key}={value}" for key, value in options.items()] + [f"seed={seed}"]
            resolved = self._resolved(overrides)
            if isinstance(resolved, ConfigError):
                return PlannedRow(row, problem=str(resolved))
            cell = Cell(resolved, self.root)
            state, changed = self._state(cell)
            cells.append(TableCell(seed, overrides, cell, state, changed))
        published = self._resolved([*_own(table, row, chosen), f"seed={seeds[0]}"])
        told = label(cells[0].cell.resolved, published, table.data) if isinstance(published, Resolved) else Label()
        return PlannedRow(row, cells, label=told)

    def _resolved(self, overrides: list[str]) -> Resolved | ConfigError:
        try:
            return resolve(self._overlay(overrides), overrides)
        except ConfigError as error:
            return error
        except HydraException as error:
            return ConfigError(in_one_line(error))

    def _state(self, cell: Cell) -> tuple[str, list[str]]:
        state = cell.status()["state"]
        if state == "waiting" and not (cell.path / "status.json").exists():
            return "missing", []
        if state != "done" or not self._stale:
            return state, []
        changed = cell.stale(_fingerprint(json.dumps(cell.resolved.config["data"], sort_keys=True)))
        return ("stale" if changed else "done"), changed


def _options(table: Table, row: Row) -> dict[str, Any]:
    return table.base | row.overrides


def _own(table: Table, row: Row, chosen: dict[str, Chosen]) -> list[str]:
    """A row as its table states it, without the command line."""
    return [f"{key}={value}" for key, value in _filled(_options(table, row), chosen).items()]


def _filled(options: dict[str, Any], chosen: dict[str, Chosen]) -> dict[str, str]:
    filled = {}
    for key, value in options.items():
        text = spelt(value)
        for name, one in chosen.items():
            text = text.replace(f"{{{name}}}", one.value)
        filled[key] = text
    return filled


@functools.cache
def _fingerprint(data: str) -> str | None:
    """What the data are now, None where they are not at hand."""
    try:
        return registry.source(json.loads(data)).check()
    except (DataError, ConfigError):
        return None

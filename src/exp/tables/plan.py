"""From a table and a command line to cells: which there are, how far each is, and why some cannot run."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.options.catalog import monitored
from exp.options.compose import STANDARD, Composition
from exp.options.config import Config
from exp.options.errors import ConfigError, DataError
from exp.options.resolve import Resolved
from exp.options.words import spelt
from exp.sweep.plan import CellPlanner, Planned, fingerprint, uncollected
from exp.tables import given as command_line
from exp.tables import looks
from exp.tables.choices import Chosen, Undecided, kept
from exp.tables.composing import Composer
from exp.tables.given import Given
from exp.tables.hypotheses import Look
from exp.tables.labels import Label, label
from exp.tables.looks import Schedule
from exp.tables.measure import validation
from exp.tables.mistakes import refuse_bad_rows, refuse_unknown_metrics
from exp.tables.reading import load
from exp.tables.spec import Choice, Row, Table, Under, setting
from exp.tables.statistics import mean_sd


@dataclass
class PlannedRow:
    """A row with its cells.

    Attributes:
        cells: One a seed, and one a seed of every part; empty where the row cannot run.
        problem: Why it cannot run, empty where it can.
        waits: Whether that is a choice that other results decide.
        label: How its cells differ from what was published.
        under: What the columns of this part of a row set, such as a data set.
        parts: The row under what each group of columns sets, where columns differ in that; else empty.
    """

    row: Row
    cells: list[Planned] = field(default_factory=list)
    problem: str = ""
    waits: bool = False
    label: Label = field(default_factory=Label)
    under: Under = ()
    parts: dict[Under, "PlannedRow"] = field(default_factory=dict)

    @property
    def each(self) -> list["PlannedRow"]:
        """Its parts, or the row itself where it has one alone."""
        return list(self.parts.values()) or [self]

    def part(self, under: Under) -> "PlannedRow":
        """The row under what a column sets."""
        return self.parts.get(under, self)

    @property
    def title(self) -> str:
        """Its name, with what the columns of a part set."""
        return f"{self.row.name}, {setting(self.under)}" if self.under else self.row.name

    @property
    def results(self) -> dict[int, tuple[Path, dict[str, Any]]]:
        """Folder and result of each cell that is done, by seed; under what the first column sets."""
        if self.parts:
            return self.each[0].results
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
        notes: What a reader has to know: rows filtered, choices made.
        schedule: Seeds added to rows until their verdicts are clear; None where all rows have the same seeds.
    """

    table: Table
    overrides: list[str]
    given: Given
    root: Path
    seeds: tuple[int, ...]
    rows: list[PlannedRow]
    left_out: list[str]
    chosen: dict[str, Chosen]
    notes: list[str]
    schedule: Schedule | None = None

    @property
    def looks(self) -> tuple[Look, ...]:
        """The moments at which it is judged."""
        return self.schedule.looks(self.seeds) if self.schedule else (Look(),)

    @property
    def cells(self) -> list[Planned]:
        """All cells, a cell that is in two rows once."""
        return list({one.cell.resolved.key: one for row in self.rows for one in row.cells}.values())

    @property
    def expected(self) -> int:
        """Cells there would be if every row could run."""
        return sum(len(part.cells) or len(self.seeds) for row in self.rows for part in row.each)

    @property
    def complete(self) -> bool:
        """Whether every row has run with every seed, done or failed."""
        return all(
            part.cells and part.count("done", "stale", "failed", "diverged") == len(part.cells)
            for row in self.rows
            for part in row.each
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
        return " ".join(self.given.variant())


class Planner:
    """Plans tables; composes each combination of choices once.

    Args:
        root: Folder of all cells.
        judged: Whether to look for changed data and code, and for how rows differ from what was published; to count
            cells takes neither.
        compose: Composes overrides; under Hydra's own application its, else ours.
    """

    def __init__(self, root: Path, *, judged: bool = True, compose: Composition = STANDARD) -> None:
        self.root = root
        self._composer = Composer(compose)
        self._known: dict[tuple[str, ...], Resolved | ConfigError] = {}
        self._cells = CellPlanner(self._composer, root, stale=judged)
        self._judged = judged

    @property
    def lasting(self) -> bool:
        """Whether options come out the same until a file changes."""
        return self._composer.lasting

    @uncollected()
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
        whole, table = table, given.narrowed(table)
        names = given.kept(table)
        seeds = given.seeds if given.seeds is not None else table.seeds
        notes = [
            f"{key}={','.join(wanted)}: {len(names)} of {len(table.rows)} rows" for key, wanted in given.rows.items()
        ]
        notes += [
            f"{key}={','.join(wanted)}: {len(table.columns)} of {len(whole.columns)} columns"
            for key, wanted in given.columns.items()
        ]
        chosen: dict[str, Chosen] = {}
        undecided: dict[str, str] = {}
        for key in table.choices:
            try:
                chosen[key] = self._choose(table, key, given, seeds)
                notes.append(str(chosen[key]))
            except Undecided as waiting:
                undecided[key] = str(waiting)
        schedule = looks.kept(self.root, name, given)
        added = {one: schedule.seeds_of(one, seeds) if schedule else seeds for one in names}
        rows = [self._row(table, table.rows[one], given, added[one], chosen, undecided) for one in names]
        blocked = [row.row for row in rows if any(one.problem for one in row.each) and not row.waits]
        refuse_bad_rows(
            table, [row for row in blocked if not row.todo], lambda row: self._as_stated(table, row, chosen)
        )
        refuse_unknown_metrics(table, [one.resolved.config.task for row in rows for one in row.cells])
        errors = [row.problem for row in rows if row.problem and not row.row.todo]  # a row none of whose parts can run
        if len(errors) == len(rows) and not undecided:
            alone = [self._resolved(_own(table, table.rows[one], chosen)) for one in names]
            if any(isinstance(one, Resolved) for one in alone):
                raise ConfigError(errors[0])
        self._composer.keep()
        left_out = [one for one in table.rows if one not in names]
        return TablePlan(table, overrides, given, self.root, seeds, rows, left_out, chosen, notes, schedule)

    def _row(
        self,
        table: Table,
        row: Row,
        given: Given,
        seeds: tuple[int, ...],
        chosen: dict[str, Chosen],
        undecided: dict[str, str],
    ) -> PlannedRow:
        if row.todo:
            return PlannedRow(row, problem=f"{table.at('rows', row.name)}: {row.todo}")
        needed = [key for key in table.choices if any(f"{{{key}}}" in spelt(v) for v in _options(table, row).values())]
        waiting = list(dict.fromkeys(undecided[key] for key in needed if key in undecided))
        if waiting:
            return PlannedRow(row, problem="; ".join(waiting), waits=True)
        if len(table.settings) == 1:
            return self._part(table, row, given, seeds, chosen, needed, table.settings[0])
        parts = {under: self._part(table, row, given, seeds, chosen, needed, under) for under in table.settings}
        problems = [part.problem for part in parts.values()]
        return PlannedRow(
            row,
            [one for part in parts.values() for one in part.cells],
            problems[0] if all(problems) else "",
            label=next(iter(parts.values())).label,
            parts=parts,
        )

    def _part(
        self,
        table: Table,
        row: Row,
        given: Given,
        seeds: tuple[int, ...],
        chosen: dict[str, Chosen],
        needed: list[str],
        under: Under,
    ) -> PlannedRow:
        """Plans a row under what some of the columns set."""
        origin = {"origin.table": spelt(table.name)}
        if needed:
            words = "; ".join(f"{key}={chosen[key].value} from table {chosen[key].table}" for key in needed)
            origin["origin.chosen"] = spelt(words)
        options = _filled(table.base, chosen) | given.options | _filled(row.overrides, chosen)
        options |= _filled(dict(under), chosen) | origin
        shown = under if len(table.settings) > 1 else ()
        cells: list[Planned] = []
        without_seed = [f"{key}={value}" for key, value in options.items()]
        data, content = None, None
        for seed in seeds:
            overrides = [*without_seed, f"seed={seed}"]
            resolved = self._resolved(overrides)
            if isinstance(resolved, ConfigError):
                return PlannedRow(row, problem=str(resolved), under=shown)
            if resolved.config.data is not data:  # seeds share it
                data, content = resolved.config.data, data_content(resolved.config)
            cells.append(self._cells.planned(resolved, overrides, content))
            if self._judged:
                _ = cells[-1].result  # kept while it is at hand
        told = self._label(table, row, chosen, under, cells[0]) if self._judged else Label()
        return PlannedRow(row, cells, label=told, under=shown)

    def _as_stated(self, table: Table, row: Row, chosen: dict[str, Chosen]) -> Resolved | ConfigError:
        """Resolves a row as the table's file has it, under all that its columns set; the first mistake if any."""
        states = [self._resolved(_own(table, row, chosen, dict(under))) for under in table.settings]
        return next((one for one in states if isinstance(one, ConfigError)), states[0])

    def _label(self, table: Table, row: Row, chosen: dict[str, Chosen], under: Under, cell: Planned) -> Label:
        """Returns how a cell differs from the run that the row's published numbers are of."""
        seed = f"seed={cell.seed}"
        stated = self._resolved([*_own(table, row, chosen, dict(under)), seed])
        published = self._resolved([*_own(table, row, chosen, table.on(row.name) | dict(under)), seed])
        beyond = "; ".join(source.beyond for source in table.cited(row.name) if source.beyond)
        if not isinstance(stated, Resolved):
            return Label(f"the row as the table states it cannot run here: {stated}", False, False)
        if not isinstance(published, Resolved):
            published, beyond = stated, beyond or f"what cannot run here: {published}"
        return label(cell.resolved, stated, published, beyond=beyond, may_differ=table.may_differ)

    def _resolved(self, overrides: list[str]) -> Resolved | ConfigError:
        key = tuple(overrides)
        if key not in self._known:
            try:
                self._known[key] = self._cells.resolved(overrides)
            except ConfigError as error:
                self._known[key] = error
        return self._known[key]

    def _choose(self, table: Table, name: str, given: Given, seeds: tuple[int, ...]) -> Chosen:
        """Returns the value of a choice: the one kept, else the best by mean validation metric, the first of equals.

        Raises:
            Undecided: Rows it depends on are missing.
        """
        before = kept(self.root, table.name, name, given)
        try:
            made = self._best(table, name, table.choices[name], given, seeds)
        except Undecided:
            if before is None:
                raise
            made = None
        if before is None:
            assert made is not None
            return made
        return Chosen(name, before["value"], before["table"], before["scores"], True, made.value if made else "")

    def _best(self, table: Table, name: str, choice: Choice, given: Given, seeds: tuple[int, ...]) -> Chosen:
        if choice.table:
            plan = self.plan(choice.table, inherited(load(choice.table), table, given, seeds))
            rows = {spelt(row.row.overrides[choice.axis]): row for row in plan.rows}
            where = choice.table
        else:
            first = {key: self._choose(table, key, given, seeds) for key, one in table.choices.items() if one.table}
            everything = dataclasses.replace(given, rows={})
            rows = {
                value: self._row(table, table.rows[row], everything, seeds, first, {})
                for value, row in choice.among.items()
            }
            where = table.name
        scores = {value: _score(row, where) for value, row in rows.items() if not row.problem}
        if not scores:
            raise Undecided(next(iter(rows.values())).problem)
        best = max(scores.values())
        return Chosen(name, next(value for value, score in scores.items() if score == best), where, scores)


def inherited(upstream: Table, table: Table, given: Given, seeds: tuple[int, ...]) -> list[str]:
    """Returns the command line of the table that a choice depends on: the same but for what either varies."""
    skip = {*table.varied, *upstream.varied}
    options = [f"{key}={value}" for key, value in given.options.items() if key not in skip]
    return [*options, f"seed={','.join(map(str, seeds))}"]


def _score(row: PlannedRow, where: str) -> float:
    """Returns the mean validation metric over the seeds, more is better; a row all of whose runs failed comes last."""
    if row.count("done", "stale", "failed", "diverged") < len(row.cells):
        raise Undecided(f"waits for the results of table {where}")
    values = [value for _, result in row.results.values() if (value := validation(result)) is not None]
    if not values:
        return float("-inf")
    sign = 1 if monitored(row.cells[0].resolved.config.task)[1] == "max" else -1
    return sign * mean_sd(values)[0]


def _options(table: Table, row: Row) -> dict[str, Any]:
    return table.base | row.overrides


def _own(table: Table, row: Row, chosen: dict[str, Chosen], on: dict[str, Any] | None = None) -> list[str]:
    """A row as its table states it, without the command line; ``on`` is what the source's run differed in."""
    return [f"{key}={value}" for key, value in _filled(_options(table, row) | (on or {}), chosen).items()]


def _filled(options: dict[str, Any], chosen: dict[str, Chosen]) -> dict[str, str]:
    filled = {}
    for key, value in options.items():
        whole = next((one.value for name, one in chosen.items() if value == f"{{{name}}}"), None)
        filled[key] = whole if whole is not None else spelt(_substituted(value, chosen))
    return filled


def _substituted(value: Any, chosen: dict[str, Chosen]) -> Any:
    """Returns a value with ``{choice}`` replaced inside its texts."""
    if isinstance(value, list):
        return [_substituted(one, chosen) for one in value]
    if isinstance(value, str):
        for name, one in chosen.items():
            value = value.replace(f"{{{name}}}", one.value)
    return value


def data_content(config: Config) -> str | None:
    """Returns what the data are now, None where they are not at hand."""
    try:
        return fingerprint(config.data)
    except (DataError, ConfigError):
        return None

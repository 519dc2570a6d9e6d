"""exp from Python: cells and sweeps run, results read, models loaded, tables shown. Loads no torch until it is needed.

Cells train in processes of their own, as they do from the command line, so a notebook's kernel keeps its memory, its
signals and its output; interrupting it saves the cells that run.
"""

import html
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra

from exp.cells.cell import Cell
from exp.cells.machine import speed_up
from exp.cells.metrics_file import read_metrics
from exp.options.compose import STANDARD, Overlay, searching, with_files
from exp.options.errors import ConfigError
from exp.run.from_cell import with_choices_of_checkpoint
from exp.sweep.course import Course
from exp.sweep.front import sweep as run_sweep
from exp.sweep.hydra import combinations
from exp.sweep.lines import new_console
from exp.sweep.plan import Planned
from exp.sweep.plan import plan as plan_cells
from exp.sweep.screen import Screen
from exp.sweep.typed import by_command, ended
from exp.tables.choices import root_of
from exp.tables.compare import Comparison, compare
from exp.tables.drawing import drawn, save
from exp.tables.figures import Figure, figures
from exp.tables.plan import Planner
from exp.tables.reading import canonical
from exp.tables.reading import load as load_table
from exp.tables.render import markdown, records
from exp.tables.report import fragment
from exp.tables.run import TableScreen, run_with_needs
from exp.tables.terminal import print_table

if TYPE_CHECKING:
    import lightning.pytorch
    import pandas

LAUNCHER = ("hydra/launcher", "hydra.launcher")
"""Beginnings of words that hand cells to SLURM, Ray or another launcher."""

SWEEPER = ("hydra/sweeper", "hydra.sweeper")
"""Beginnings of words that ask for what the command line alone has."""

ROWS = 200
"""Cells of a plan that a notebook shows."""


class CellHandle(Cell):
    """One run: a folder with its options, curves, result and weights.

    ``exp.Cell.at(path)`` opens the folder of a cell; ``exp.run`` and ``exp.cell`` return one by its options.

    Example:
        >>> import exp
        >>> cell = exp.cell("att=ca", "seed=3")  # nothing runs
        >>> cell.task, cell.status()["state"], cell.result()
        ('attention', 'waiting', None)
        >>> cell.resolved.config.att.reduction
        32
    """

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What was measured while it trained and tested, in order, a dictionary a line of ``metrics.jsonl``."""
        return read_metrics(self.path / "metrics.jsonl")

    def load(self) -> "lightning.pytorch.LightningModule":
        """Returns the LightningModule with the weights that were tested, in evaluation mode, on the CPU.

        Raises:
            ConfigError: The cell has no weights, or its task is a plug-in that is not active.
        """
        from exp.tasks.build import build_task
        from exp.tasks.checkpoint import load_weights
        from exp.tasks.loaded import ready

        best = next((path for name in ("best", "last") if (path := self.path / f"{name}.ckpt").is_file()), None)
        if best is None and self.result() is None:
            raise ConfigError(
                f"{self.path.name}: {self.status()['state']}, so it has no weights yet; exp.run trains it"
            )
        if best is None:
            raise ConfigError(f"{self.path}: holds no checkpoint; cells.keep=[best] keeps one")
        task = build_task(self.resolved.config)
        try:
            load_weights(task, str(best))
        except ConfigError:
            if changed := ", ".join(self.stale(None)):
                said = f"{self.path.name}: its weights are another model's, since {changed} changed after it ran"
                raise ConfigError(f"{said}; sweep.force=stale runs it anew") from None
            raise
        return ready(task)

    def __repr__(self) -> str:
        return f"<Cell {self.path.name}: {self.status()['state']}>"


class CellList(list[CellHandle]):
    """Cells, with what they have in common as a table; they show themselves in a notebook."""

    def frame(self) -> "pandas.DataFrame":
        """Returns a row a cell: its state, the options that differ among them, test metrics and cost.

        Raises:
            ConfigError: pandas is not installed.
        """
        rows = [_row(cell) for cell in self]
        varied = {
            name
            for name in dict.fromkeys(itertools.chain.from_iterable(rows))
            if name.count(".") and len({str(row.get(name)) for row in rows}) > 1
        }
        kept = [{name: value for name, value in row.items() if "." not in name or name in varied} for row in rows]
        return _pandas().DataFrame(kept)

    def _repr_html_(self) -> str:
        return str(self.frame().to_html(escape=True, notebook=True))


@dataclass(repr=False)
class PlannedHandle(Planned):
    """One cell of a plan and how far it is, its ``cell`` as ``exp.cell`` returns it."""

    cell: CellHandle

    def __repr__(self) -> str:
        return f"<Planned {self.cell.path.name}: {self.state}>"


class PlanHandle(list[PlannedHandle]):
    """The cells of a grid and how far each is; they show themselves in a notebook."""

    def _repr_html_(self) -> str:
        names = Screen().names(self)
        rows = [(names[one.resolved.key], one.state, one.cell.path.name) for one in self[:ROWS]]
        lines = ["".join(f"<td>{html.escape(text)}</td>" for text in row) for row in rows]
        head = "".join(f"<th>{heading}</th>" for heading in ("cell", "state", "folder"))
        more = f"<p>and {len(self) - ROWS} more</p>" if len(self) > ROWS else ""
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>{more}"


def _row(cell: CellHandle) -> dict[str, Any]:
    record = cell.record() or {}
    state = "stale" if cell.result() is not None and cell.stale(None) else cell.status()["state"]
    row: dict[str, Any] = {"cell": cell.path.name, "state": state, "seed": record.get("seed")}
    for part, options in record.get("config", {}).items():
        if isinstance(options, dict) and part in ("task", "model", "att", "data", "optim", "trainer"):
            row |= {f"{part}.{name}": value for name, value in options.items()}
    row |= record.get("test", {})
    return row | {name: record[name] for name in ("params", "macs", "train_seconds") if name in record}


class TableHandle:
    """A table of published numbers beside what was run; it shows itself in a notebook."""

    def __init__(self, name: str, overrides: Sequence[str]) -> None:
        self.name, self.overrides = canonical(name), list(overrides)
        load_table(self.name)

    @property
    def comparison(self) -> Comparison:
        """The table as it is now."""
        return compare(Planner(root_of(self.overrides)).plan(self.name, self.overrides))

    def run(self) -> "TableHandle":
        """Runs the cells that are missing, and returns the table, which is printed where it does not show itself.

        Raises:
            CellFailed: A cell failed.
            KeyboardInterrupt: It was interrupted; what ran is saved.
        """
        if any(_asks(word, LAUNCHER) for word in self.overrides):
            by_command(["table", self.name, "--run", *self.overrides])
            return self
        planner = Planner(root_of(self.overrides))
        command = f"exp table {self.name} --run {' '.join(self.overrides)}".rstrip()

        def swept(cells: list[list[str]], screen: Screen) -> int:
            speed_up()
            if isinstance(screen, TableScreen) and screen.table == self.name:
                screen.prints = not shows_values
            return run_sweep(cells, Overlay(STANDARD), screen, invalid="error", command=command, course=Course())

        shows_values = hasattr(sys, "ps1")  # Python's own sign of a prompt, which notebooks set as well
        code = run_with_needs(self.name, self.overrides, planner, swept)
        if code and shows_values:
            print_table(self.comparison, new_console())
        ended(code, command)
        return self

    def frame(self) -> "pandas.DataFrame":
        """Returns a row for each row and column of the table, with means, deviations, intervals and verdicts."""
        return _pandas().DataFrame(records(self.comparison))

    def figures(self) -> list["FigureHandle"]:
        """Returns its figures: curves by epoch, differences with their intervals, metrics against cost, gates."""
        return [FigureHandle(figure) for figure in figures(self.comparison)]

    def __repr__(self) -> str:
        return markdown(self.comparison)

    def _repr_html_(self) -> str:
        return fragment(self.comparison)


class FigureHandle:
    """A figure of a table; it shows itself in a notebook.

    Attributes:
        title: What it shows.
    """

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self.title = figure.title

    def save(self, folder: str | Path, stem: str = "table") -> list[Path]:
        """Writes it as SVG and PDF and returns the files.

        Args:
            folder: Where they go.
            stem: Beginning of their names.
        """
        return save(self._figure, Path(folder).expanduser(), stem)

    def __repr__(self) -> str:
        return f"<Figure {self.title}>"

    def _repr_svg_(self) -> str:
        return drawn(self._figure)


def run(*overrides: str) -> CellHandle:
    """Trains a cell, or returns it where it is done.

    Args:
        *overrides: As on the command line: ``exp.run("task=gait", "model=convlstm")``.

    Raises:
        ConfigError: A choice or option is wrong.
        CellFailed: Training failed; the message says why.
        KeyboardInterrupt: It was interrupted; the next call goes on from there.
    """
    grid = _grid(overrides)
    if len(grid) != 1:
        raise ConfigError(f"{' '.join(overrides)}: describes {len(grid)} cells; exp.sweep runs them")
    return sweep(*overrides)[0]


def sweep(*overrides: str) -> CellList:
    """Runs the cells of a grid that are missing and prints their table.

    Args:
        *overrides: As on the command line after ``--multirun``: ``exp.sweep("att=none,se", "seed=0,1,2")``. With
            ``"hydra/launcher=slurm"`` or another launcher that command runs them, in a process of its own.

    Raises:
        ConfigError: A choice or option is wrong.
        CellFailed: A cell failed.
        KeyboardInterrupt: It was interrupted; the next call goes on from there.
    """
    grid = _grid(overrides)
    if any(_asks(word, LAUNCHER) for word in overrides):
        by_command(["--multirun", *overrides])
        return CellList(one.cell for one in _planned(grid, here=False))
    speed_up()
    command = f"exp --multirun {' '.join(overrides)}"
    ended(run_sweep(grid, Overlay(STANDARD), Screen(), invalid="error", command=command, course=Course()), command)
    return CellList(one.cell for one in _planned(grid))


def cell(*overrides: str) -> CellHandle:
    """Returns the cell that overrides describe, whether it has run or not.

    Raises:
        ConfigError: A choice or option is wrong.

    Example:
        >>> import exp
        >>> exp.cell("att=ca").key == exp.cell("att=ca", "reduction=32").key  # the default is the same cell
        True
        >>> exp.cell("att=caa")
        Traceback (most recent call last):
        exp.options.errors.ConfigError: att=caa: no such choice; there are none, triplet, ...
    """
    one = plan(*overrides)
    if len(one) != 1:
        raise ConfigError(f"{' '.join(overrides)}: describes {len(one)} cells; exp.plan lists them")
    return one[0].cell


def plan(*overrides: str) -> PlanHandle:
    """Returns the cells of a grid and how far each is; nothing runs.

    Raises:
        ConfigError: A choice or option is wrong.
        DataError: A data set is missing or damaged.

    Example:
        >>> import exp
        >>> [(one.seed, one.state) for one in exp.plan("att=none,ca", "seed=0,1")]
        [(0, 'missing'), (1, 'missing'), (0, 'missing'), (1, 'missing')]
        >>> exp.plan("hydra/sweeper=optuna")
        Traceback (most recent call last):
        exp.options.errors.ConfigError: hydra/sweeper=optuna: from Python a sweep is a grid; ...
    """
    return _planned(_grid(overrides), here=not any(_asks(word, LAUNCHER) for word in overrides))


def cells(folder: str | Path = "multirun") -> CellList:
    """Returns the cells below a folder, by name.

    Raises:
        ConfigError: There is no such folder.

    Example:
        >>> import exp
        >>> exp.cells(".")
        []
        >>> exp.cells("nowhere")
        Traceback (most recent call last):
        exp.options.errors.ConfigError: nowhere: no such folder
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    return CellList(CellHandle(path.parent.absolute()) for path in sorted(root.rglob("config.json")))


def table(name: str, *overrides: str) -> TableHandle:
    """Returns a table, ``exp.table("modules", "recipe=quick")``; ``.run()`` runs what is missing of it.

    Raises:
        ConfigError: There is no such table.

    Example:
        >>> import exp
        >>> exp.table("modules", "recipe=quick").name
        'modules'
        >>> exp.table("module")
        Traceback (most recent call last):
        exp.options.errors.ConfigError: table=module: no such table; did you mean 'modules'?
    """
    _refuse_search(overrides)
    return TableHandle(name, with_files(overrides))


def _grid(overrides: Sequence[str]) -> list[list[str]]:
    """Returns the overrides of each cell of a grid, whoever runs them.

    Raises:
        ConfigError: Another sweeper is asked for.
    """
    _refuse_search(overrides)
    described = [word for word in overrides if not _asks(word, LAUNCHER)]
    words = with_choices_of_checkpoint(with_files(described))
    with searching():
        return combinations(words, {}, None, GlobalHydra.instance().config_loader())


def _refuse_search(overrides: Sequence[str]) -> None:
    for word in overrides:
        if _asks(word, SWEEPER):
            raise ConfigError(f"{word}: from Python a sweep is a grid; take a search to exp --multirun")


def _asks(word: str, beginnings: tuple[str, ...]) -> bool:
    return word.lstrip("+~").startswith(beginnings)


def _planned(grid: list[list[str]], *, here: bool = True) -> PlanHandle:
    cells = plan_cells(grid, Overlay(STANDARD), here=here).cells
    handles = [CellHandle(one.cell.path, one.resolved) for one in cells]
    return PlanHandle(
        PlannedHandle(handle, one.overrides, one.state, one.changed, one.anew, one.todo)
        for handle, one in zip(handles, cells, strict=True)
    )


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("frame: needs pandas: pip install 'exp-tables[notebook]'") from error
    return pandas

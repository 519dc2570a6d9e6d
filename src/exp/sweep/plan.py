"""From overrides to the cells that will run, for sweeps and tables; nothing starts before all of them are checked."""

import functools
import gc
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.cells.cell import ANEW, Cell
from exp.cells.counted import counted
from exp.data.source import ROOT_VARIABLE
from exp.options.compose import Compose, Overlay, in_one_line, named_by
from exp.options.errors import ConfigError, DataError, nearest
from exp.options.parts import DataOptions
from exp.options.resolve import Resolved, resolve
from exp.options.words import spelt
from exp.run.devices import refuse_missing_devices

STATES = ("done", "stale", "running", "waiting", "failed", "diverged", "missing")
"""States of a planned cell: stale is done under other code, data or defaults, missing has never been started."""

SEED = re.compile("0|[1-9][0-9]{0,8}")
"""Seeds that are surely within bounds."""


@dataclass
class Planned:
    """One cell and how far it is.

    Attributes:
        cell: The cell.
        overrides: What it was planned from.
        state: One of ``STATES``.
        changed: What has changed since a stale cell ran.
        anew: Whether it runs from scratch.
        todo: Whether it runs at all.
    """

    cell: Cell
    overrides: list[str]
    state: str
    changed: list[str] = field(default_factory=list)
    anew: bool = False
    todo: bool = False

    @property
    def resolved(self) -> Resolved:
        """The cell's choices."""
        return self.cell.resolved

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return self.resolved.seed

    @functools.cached_property
    def result(self) -> dict[str, Any] | None:
        """The cell's result, None where it has none; not to be changed."""
        return self.cell.look()

    def decide(self, force: str) -> None:
        """Decides whether the cell runs, and whether from scratch, by ``sweep.force``."""
        self.anew = self.state in ANEW[force]
        self.todo = self.anew or self.state in ("missing", "waiting", "failed")


@dataclass
class Plan:
    """What a sweep will do: its cells in order, and the combinations left out as invalid with their reasons."""

    cells: list[Planned]
    skipped: list[tuple[tuple[str, ...], str]]

    @property
    def todo(self) -> list[Planned]:
        """The cells that run."""
        return [planned for planned in self.cells if planned.todo]


class CellPlanner:
    """Plans cells; composes each combination of choices once.

    Args:
        compose: Composes overrides to a plain configuration.
        root: Folder of all cells; the choices' own where not given.
        stale: Whether to look for changed data, code and defaults of cells that are done.
    """

    def __init__(self, compose: Compose, root: Path | None = None, *, stale: bool = True) -> None:
        self._overlay = Overlay(compose)
        self._first: dict[tuple[str, ...], Resolved] = {}
        self._root = root
        self._stale = stale

    def resolved(self, overrides: list[str]) -> Resolved:
        """Returns the choices that overrides describe; those that differ in the seed alone are resolved once.

        Raises:
            ConfigError: See `resolve`.
        """
        seeds = [word.partition("=")[2] for word in overrides if word.startswith("seed=")]
        same = tuple(word for word in overrides if not word.startswith("seed="))
        if len(seeds) != 1 or not SEED.fullmatch(seeds[0]) or self._interpolates or any("${" in word for word in same):
            return resolve(self._overlay(overrides), overrides)
        if same not in self._first:
            self._first[same] = resolve(self._overlay(overrides), overrides)
        return self._first[same].seeded(int(seeds[0]), overrides)

    @functools.cached_property
    def _interpolates(self) -> bool:
        """Whether an interpolation of the YAML names the seed."""
        return named_by(self._overlay.interpolated, "seed")

    def planned(self, resolved: Resolved, overrides: list[str], fingerprint: str | None) -> Planned:
        """Returns a cell and how far it is.

        Args:
            resolved: Its choices.
            overrides: What they were made from.
            fingerprint: Of the data, None where they are not at hand.
        """
        cell, state = how_far(resolved, fingerprint, self._root)
        changed = cell.stale(fingerprint) if state == "done" and self._stale else []
        return Planned(cell, overrides, "stale" if changed else state, changed)


def how_far(resolved: Resolved, fingerprint: str | None, root: Path | None = None) -> tuple[Cell, str]:
    """Returns the cell of these choices on these data and its state, which may be ``missing``.

    Args:
        resolved: The choices.
        fingerprint: Of the data, None where they are not at hand.
        root: Folder of all cells; the choices' own where not given.
    """
    cell = Cell.on(resolved, fingerprint, root)
    state = cell.state()
    missing = state == "waiting" and not (cell.path / "status.json").exists()
    return cell, "missing" if missing else state


@contextmanager
def uncollected() -> Iterator[None]:
    """Leaves out the search for garbage: planning makes none, and among thousands of cells it takes a third longer."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@uncollected()
def plan(combinations: Iterable[list[str]], compose: Compose, *, invalid: str = "error", here: bool = True) -> Plan:
    """Resolves and checks every combination of a sweep.

    Args:
        combinations: Overrides of each cell.
        compose: Composes overrides to a plain configuration.
        invalid: ``error`` stops at a combination of choices that contradict each other, ``skip`` leaves it out.
        here: Whether the cells will run on this machine, so that it has to have their devices.

    Raises:
        ConfigError: A combination is invalid; or none is left.
        DataError: A data set is missing or damaged.
    """
    planner = CellPlanner(compose)
    resolved: dict[tuple[str, str | None], tuple[Resolved, list[str]]] = {}
    skipped = []
    listed = list(combinations)
    for overrides in counted(listed, "planning cells", len(listed)):
        try:
            one = planner.resolved(overrides)
        except ConfigError as error:
            if invalid == "error":
                raise
            skipped.append((tuple(overrides), str(error)))
            continue
        resolved.setdefault((one.key, getattr(one.config.data, "root", None)), (one, overrides))
    if not resolved:
        raise ConfigError("no cell of this sweep is valid: " + "; ".join(sorted({why for _, why in skipped})))
    cells: dict[str, Planned] = {}
    data: dict[str, str] = {}
    for one, overrides in resolved.values():
        if here:
            refuse_missing_devices(one.config.trainer)
        content = fingerprint(one.config.data)
        planned = planner.planned(one, overrides, content)
        if data.setdefault(planned.resolved.key, content) != content:  # another folder of the same sweep has this cell
            planned = planner.planned(one.on_data(content), overrides, content)
        planned.decide(one.config.sweep.force)
        cells.setdefault(planned.resolved.key, planned)
    return Plan(list(cells.values()), skipped)


_fingerprints: dict[str, str] = {}


def fingerprint(options: DataOptions) -> str:
    """Returns the fingerprint of a data set, which is looked at once a process.

    Raises:
        DataError: The set is missing or damaged.
    """
    key = json.dumps([options.name, options.plain(), os.environ.get(ROOT_VARIABLE)], sort_keys=True)
    if key not in _fingerprints:
        try:
            _fingerprints[key] = options.reader().check()
        except ValueError as error:
            raise DataError(f"data: {error}") from error
    return _fingerprints[key]


LISTED = "expected a list of mappings, such as '- {att: ca, seed: 1}'"


def explicit_cells(path: str) -> list[list[str]]:
    """Returns the cells of a YAML file: a list of mappings from what is overridden to its value.

    Raises:
        ConfigError: The file is missing or of another form.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        listed = OmegaConf.to_container(OmegaConf.load(Path(path)))
    except FileNotFoundError:
        beside = [str(other) for other in Path(path).parent.glob("*.yaml")] if Path(path).parent.is_dir() else []
        raise ConfigError(f"sweep.cells={path}: no such file{nearest(path, beside)}") from None
    except (YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        if "Invalid loaded object" in str(error):  # OmegaConf's words for a file that holds a single value
            raise ConfigError(f"sweep.cells={path}: {LISTED}") from error
        raise ConfigError(f"sweep.cells={path}: cannot be read: {in_one_line(error)}") from error
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigError(f"sweep.cells={path}: {LISTED}")
    return [[f"{key}={spelt(value)}" for key, value in dict(entry).items()] for entry in listed]

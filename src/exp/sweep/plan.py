"""From a list of override lists to the cells that will run; nothing starts before all of them are checked."""

import copy
import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp import registry
from exp.cell import Cell
from exp.config import ConfigError
from exp.config.compose import YAML_GROUPS
from exp.config.options import nearest
from exp.config.resolve import Resolved, resolve
from exp.errors import DataError

Compose = Callable[[list[str]], dict[str, Any]]
"""Composes overrides to a plain configuration."""


@dataclass
class Planned:
    """One cell of a sweep.

    Attributes:
        cell: The cell.
        state: waiting, running, done, failed or diverged.
        changed: For a done cell, what has changed since; it is stale if there is anything.
        anew: Whether it runs from scratch.
        todo: Whether it runs at all.
    """

    cell: Cell
    state: str
    changed: list[str] = field(default_factory=list)
    anew: bool = False
    todo: bool = False

    @property
    def resolved(self) -> Resolved:
        """The cell's choices."""
        return self.cell.resolved


@dataclass
class Plan:
    """What a sweep will do: its cells in order, and the combinations left out as invalid with their reasons."""

    cells: list[Planned]
    skipped: list[tuple[tuple[str, ...], str]]

    @property
    def todo(self) -> list[Planned]:
        """The cells that run."""
        return [planned for planned in self.cells if planned.todo]


def plan(combinations: Iterable[list[str]], compose: Compose, *, invalid: str = "error") -> Plan:
    """Resolves and checks every combination.

    Args:
        combinations: Overrides of each cell.
        compose: Composes overrides to a plain configuration.
        invalid: ``error`` stops at a combination that cannot stand, ``skip`` leaves it out and lists it.

    Raises:
        ConfigError: A combination cannot stand; or none is left.
        DataError: A data set is missing or damaged.
    """
    overlay = Overlay(compose)
    resolved: dict[str, Resolved] = {}
    skipped = []
    for overrides in combinations:
        try:
            one = resolve(overlay(overrides), overrides)
        except ConfigError as error:
            if invalid == "error":
                raise
            skipped.append((tuple(overrides), str(error)))
            continue
        resolved.setdefault(one.key, one)
    if not resolved:
        raise ConfigError("no cell of this sweep can stand: " + "; ".join(sorted({why for _, why in skipped})))
    cells = []
    for one in resolved.values():
        fingerprint = _fingerprint(json.dumps(one.config["data"], sort_keys=True))
        cells.append(_planned(Cell(one), fingerprint, one.config["sweep"]["force"]))
    return Plan(cells, skipped)


def _planned(cell: Cell, fingerprint: str, force: str) -> Planned:
    state = cell.status()["state"]
    planned = Planned(cell, state, cell.stale(fingerprint) if state == "done" else [])
    planned.anew = (state == "done" and (force == "done" or (force == "stale" and bool(planned.changed)))) or (
        state in ("failed", "diverged") and force == "failed"
    )
    planned.todo = planned.anew or state in ("waiting", "failed")
    return planned


@functools.cache
def _fingerprint(data: str) -> str:
    try:
        return registry.source(json.loads(data)).check()
    except ValueError as error:
        raise DataError(f"data: {error}") from error


class Overlay:
    """Composes once for each combination of groups and lays plain values over it; the result is the same.

    Args:
        compose: Composes overrides to a plain configuration.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = functools.lru_cache(maxsize=None)(lambda overrides: compose(list(overrides)))

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """The configuration under these overrides."""
        parsed = {override: _parsed(override) for override in overrides}
        config = copy.deepcopy(self._compose(tuple(override for override in overrides if parsed[override] is None)))
        for path, value in filter(None, parsed.values()):
            node: Any = config
            for key in path[:-1]:
                node = node.get(key) if isinstance(node, dict) else None
            if not isinstance(node, dict) or path[-1] not in node:
                return self._compose(tuple(overrides))
            node[path[-1]] = value
        return config


@functools.cache
def _parsed(override: str) -> tuple[tuple[str, ...], Any] | None:
    """Path and value of an override that sets a plain value; None for one that chooses a group or more."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType, QuotedString

    one = OverridesParser.create().parse_override(override)
    value = one.value() if one.type == OverrideType.CHANGE and not one.is_sweep_override() else {}
    if isinstance(value, QuotedString):
        value = value.text
    groupish = "/" in one.key_or_group or "@" in one.key_or_group or one.key_or_group in (*YAML_GROUPS, "table")
    if groupish or isinstance(value, (dict, list)) or (isinstance(value, str) and "${" in value):
        return None
    return tuple(one.key_or_group.split(".")), value


def explicit_cells(path: str) -> list[list[str]]:
    """The cells of a YAML file: a list of mappings from what is overridden to its value.

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
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"sweep.cells={path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigError(f"sweep.cells={path}: expected a list of mappings, such as '- {{att: ca, seed: 1}}'")
    return [[f"{key}={_spelt(value)}" for key, value in dict(entry).items()] for entry in listed]


def _spelt(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)

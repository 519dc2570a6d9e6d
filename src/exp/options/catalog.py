"""What can be chosen: every options class with a name, found where tasks and blocks declare it. Imports no torch.

A choice is declared once, by its class: ``name`` in an ``options.py`` makes it known to the command line, to
``exp list`` and to errors.
"""

import importlib
import pkgutil
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

from exp.options import plugins, study
from exp.options.adopted import LightningOptions, parts_beside
from exp.options.config import SECTIONS as SECTIONS
from exp.options.config import Config
from exp.options.errors import ConfigError, nearest
from exp.options.fields import fields, hints
from exp.options.parts import (
    OWN,
    BlockOptions,
    DataOptions,
    MetricOptions,
    Mode,
    ModelOptions,
    NoAttention,
    Part,
    TaskOptions,
)

_BASES = {
    "task": (TaskOptions,),
    "model": (ModelOptions,),
    "att": (NoAttention, BlockOptions),
    "data": (DataOptions,),
    "metrics": (MetricOptions,),
}
_NEEDED = {"task": ("kind", "monitor", "mode"), "model": ("kind",), "att": (), "data": ("kind",), "metrics": ("kind",)}
_RESERVED = (
    (ModelOptions, "init", "where every model's starting weights come from"),
    (TaskOptions, "metrics", "what adds a plug-in's metrics to every task"),
    (TaskOptions, "best", "the metric by which the best epoch of every task is chosen"),
)
"""Options that every choice of a base has, which none may declare anew, and what each is."""


def _modules() -> list[ModuleType]:
    """Returns the modules that declare choices: those shared, whose first choice is att=none, and one a task.

    Raises:
        ConfigError: A plug-in is broken.
    """
    tasks = importlib.import_module("exp.tasks")
    folders = [module.name for module in pkgutil.iter_modules(tasks.__path__) if module.ispkg]
    shipped = [
        "exp.options.parts",
        "exp.blocks.options",
        "exp.layers.options",
        *(f"exp.tasks.{name}.options" for name in sorted(folders)),
    ]
    return [*map(importlib.import_module, shipped), *(plugin.declarations() for plugin in plugins.active())]


def _declared() -> dict[str, dict[str, type[Part]]]:
    groups: dict[str, dict[str, type[Part]]] = {group: {} for group in _BASES}
    for module in _modules():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Part) and "name" in vars(value):
                _declare(value, groups)
                if issubclass(value, LightningOptions):
                    for part in parts_beside(value):
                        _declare(part, groups)
                    for target in filter(None, (value.module, value.datamodule)):
                        plugins.watch_package(target.partition(":")[0])
    for path in plugins.files_of_tasks():
        for part in study.read(path).parts:
            _declare(part, groups)
    return groups


def _declare(schema: type[Part], groups: dict[str, dict[str, type[Part]]]) -> None:
    """Makes a choice known.

    Raises:
        ConfigError: It lacks an attribute, or another choice of the group has its name.
    """
    where = f"{schema.__module__}.{schema.__qualname__}"
    group = next((group for group, bases in _BASES.items() if issubclass(schema, bases)), None)
    if group is None:
        raise ConfigError(
            f"{where}: name={schema.name}, but it is no TaskOptions, ModelOptions, BlockOptions, DataOptions or"
            " MetricOptions"
        )
    for attribute in (*_NEEDED[group], "builds"):
        if not hasattr(schema, attribute):
            raise ConfigError(f"{where}: has no {attribute}, which every choice of {group} needs")
    for base, option, meaning in _RESERVED:
        own = [one for one in schema.__mro__ if issubclass(one, base) and one is not base]
        if any(option in vars(one).get("__annotations__", {}) for one in own):
            raise ConfigError(f"{where}: {option} is {meaning}; call yours otherwise")
    bases: list[type[Part]] = [one for one in _BASES[group] if issubclass(schema, one)]
    for option in sorted({*fields(schema)}.intersection(*(one.taken() for one in bases))):
        raise ConfigError(f"{where}: {option}: every choice of {group} has that for something else; rename yours")
    if group == "metrics" and (fields(schema) or not schema.name.isidentifier() or schema.name == "none"):
        what = f"its option {next(iter(fields(schema)))}" if fields(schema) else f"the name {schema.name!r}"
        raise ConfigError(f"{where}: {what}: a metric has a name of letters, digits and _, and no options")
    other = groups[group].setdefault(schema.name, schema)
    if other is not schema:
        raise ConfigError(
            f"{group}={schema.name}: declared twice, as {other.__module__}.{other.__qualname__} and as {where};"
            " rename one"
        )


GROUPS: dict[str, dict[str, Any]] = _declared()
"""Choices of each part by name."""

METRICS: dict[str, type[MetricOptions]] = GROUPS.pop("metrics")
"""Metrics of plug-ins by name, which ``metrics=`` adds to a task's own."""

TASKS: dict[str, type[TaskOptions]] = GROUPS["task"]
"""Tasks by name."""

_revision = 0


def revision() -> int:
    """Returns a number that grows whenever choices are added."""
    return _revision


def add_file(path: Path) -> str:
    """Makes a file that is a task known, and returns the task's name; the processes that follow know it too.

    Raises:
        ConfigError: See ``exp.options.study.read``; or a choice that ships with exp or a plug-in has its name.
    """
    global _revision
    before = study.STUDIES.get(path.stem)
    declared = study.read(path)
    changed = before is None or [_fields(part) for part in before.parts] != [_fields(part) for part in declared.parts]
    for part in before.parts if before else ():
        for known in GROUPS.values():
            if known.get(part.name) is part:
                del known[part.name]
    for part in declared.parts:
        _declare(part, GROUPS)
    _revision += changed
    plugins.announce_file(declared.path)
    return declared.name


def _fields(schema: type) -> list[tuple[str, str]]:
    return [(name, str(hints(schema)[name])) for name in fields(schema)]


def fitting(group: str, kind: str) -> list[str]:
    """Returns the models or data sets of a kind."""
    return [name for name, schema in GROUPS[group].items() if schema.kind == kind]


def metrics_for(task: TaskOptions | type[TaskOptions]) -> list[str]:
    """Returns the metrics of plug-ins that a task can have."""
    return [name for name, schema in METRICS.items() if schema.kind == (task.measured_as or task.kind)]


def metric_of(score: str) -> type[MetricOptions] | None:
    """Returns the metric of a plug-in that reports a score, which is called ``NAME`` or ``NAME_KEY``; None without."""
    parts = score.split("_")
    names = ("_".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((METRICS[name] for name in names if name in METRICS), None)


def monitored(task: TaskOptions | type[TaskOptions], best: str = "") -> tuple[str, Mode]:
    """Returns the metric by which a task's best epoch is chosen, and whether more of it is better.

    Args:
        task: The task's options, or their class.
        best: ``best=`` where it is not that of the task, such as that of a cell's file.
    """
    chosen = best or task.best
    if chosen == OWN:
        return task.monitor, task.mode
    metric = metric_of(chosen)
    return chosen, metric.mode if metric else "max"


def refuse_metrics(task: TaskOptions) -> None:
    """Refuses metrics that a task cannot have beside its own, or that cannot choose its best epoch.

    Raises:
        ConfigError: There is no such metric, it is for something else, or the task has one of that name; or the metric
            of the best epoch is not measured.
    """
    if isinstance(task, LightningOptions) and task.further:
        raise ConfigError(
            f"metrics={task.metrics}: exp does not see what {task.module} predicts; log it there, with self.log in"
            " validation_step and test_step"
        )
    if isinstance(task, LightningOptions) and task.best != OWN:
        raise ConfigError(
            f"best={task.best}: what {task.module} logs and exp chooses by is monitor and mode of"
            f" {type(task).__name__}; name it there"
        )
    kind = task.measured_as or task.kind
    for name in task.further:
        given = f"metrics={task.metrics}"
        if name not in METRICS:
            there = ", ".join(METRICS) or "none; a plug-in may bring one"
            raise ConfigError(f"{given}: no metric {name}; there are {there}{nearest(name, METRICS)}")
        if METRICS[name].kind != kind:
            raise ConfigError(f"{given}: {name} is for {METRICS[name].kind}, but task={task.name} works on {kind}")
        if any(fnmatchcase(name, own) for own in task.reports):
            raise ConfigError(f"{given}: task={task.name} reports a {name} of its own; call yours otherwise")
    metric = metric_of(task.best)
    if task.best != OWN and (metric is None or metric.name not in task.further):
        able = ", ".join([task.monitor, *task.further])
        adds = f"; metrics={metric.name} adds it" if metric and metric.kind == kind else ""
        raise ConfigError(
            f"best={task.best}: the epoch is chosen by the task's own {task.monitor} or by a metric of metrics=, here"
            f" {able}{adds}{'' if adds else nearest(task.best, (task.monitor, *task.further))}"
        )


def schema_of(part: str, values: dict[str, Any]) -> type:
    """Returns the options class of a part, from its plain options.

    Raises:
        ConfigError: Its choice is unknown.
    """
    if part in SECTIONS:
        return SECTIONS[part]
    name = values.get("name")
    if name not in GROUPS[part]:
        raise ConfigError(
            f"{part}={name}: no such choice{nearest(name, GROUPS[part])}; where it is code of yours, name it:"
            f" task=./{name}.py, plugins in pyproject.toml, or EXP_PLUGINS"
        )
    return GROUPS[part][name]


def restored(plain: dict[str, Any]) -> Config:
    """Returns the options that ``Config.plain`` made a dictionary of; what an older version has not, has its default.

    Raises:
        ConfigError: A choice or option is no longer known, or its value no longer allowed.
    """
    parts: dict[str, Any] = {}
    for part in (*GROUPS, *SECTIONS):
        values = dict(plain.get(part, {}))
        schema = schema_of(part, values)
        if part in GROUPS:
            values.pop("name")
        unknown = [name for name in values if name not in fields(schema)]
        if unknown:
            raise ConfigError(f"{part}.{unknown[0]}: no such option in this version")
        parts[part] = schema(**values)
    return Config(**parts, seed=plain["seed"], recipe=plain["recipe"], ckpt=plain.get("ckpt"))

"""``exp list [GROUP [CHOICE]]``: what can be chosen, and each choice's options.

Without words: the groups, with models and data sets by task, and the options that every run has.
With a group (task, recipe, model, att, data, metrics, trainer, logger, optim, ...): a line a choice.
With a group and a choice: its options, a line each; ``exp list task ./moons.py`` where the task is a file.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from exp.cells.terminal import columns, folded
from exp.commands.front import add_format, show
from exp.commands.meant import NO_GROUPS
from exp.options.catalog import GROUPS, METRICS, SECTIONS, TASKS, add_file, fitting, metrics_for
from exp.options.compose import YAML_GROUPS, choices_of
from exp.options.errors import ConfigError, nearest
from exp.options.fields import default_of, describe, docs, explain, fields, hints, summary
from exp.options.folders import conf_dirs
from exp.options.plugins import active
from exp.options.study import STUDIES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("group", nargs="?", help=f"one of {', '.join(known_groups())}")
    parser.add_argument("choice", nargs="?", help="a choice of the group")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the groups, a group's choices, or a choice's options.

    Raises:
        ConfigError: There is no such group or choice.
    """
    if str(options.choice).endswith(".py"):
        options.choice = add_file(Path(options.choice))
    if options.group is None:
        value: Any = {group: choices_of(group) for group in YAML_GROUPS}
        lines = overview()
    elif options.choice is None and options.group == "metrics":
        value = {name: summary(schema) for name, schema in METRICS.items()}
        lines = [f"{name}: {summary(schema)} For {schema.kind}." for name, schema in METRICS.items()]
        lines = lines or ["none beside the tasks' own; a plug-in may bring one: exp new metric NAME"]
    elif options.choice is None and options.group in YAML_GROUPS:
        value = {name: meaning(options.group, name) for name in choices_of(options.group)}
        lines = choice_lines(options.group)
    else:
        schema = schema_of(options.group, options.choice)
        value, lines = as_records(schema), option_lines(schema)
    show(value, "\n".join(_fitted(line) for line in lines), options.format)
    return 0


def _fitted(line: str) -> str:
    """Returns a line broken where the terminal ends, its further lines below what follows the first column."""
    first = re.match(r" *\S+  +", line)
    return folded(line, columns(sys.maxsize), first.end() if first else 4) if line else line


def known_groups() -> list[str]:
    """Returns the groups and sections that can be listed."""
    return list(dict.fromkeys([*YAML_GROUPS, *SECTIONS, "metrics"]))


def overview() -> list[str]:
    """Returns all groups, models and data sets by task, and the options of every run, a line each."""
    lines = [f"{group:9} {' '.join(choices_of(group))}" for group in ("task", "recipe", "att", "trainer", "logger")]
    for task in TASKS.values():
        lines += ["", f"task={task.name}: {summary(task)}"]
        for group in ("model", "data"):
            lines.append(f"  {group:7} {' '.join(fitting_choices(group, task.kind))}")
        if further := metrics_for(task):
            lines.append(f"  metrics {' '.join(further)}")
    sections = [f"{name:9} {' '.join(fields(schema))}" for name, schema in SECTIONS.items() if name != "origin"]
    own = [f"plug-in   {plugin.name} ({plugin.named_in}): {plugin.path}" for plugin in active()]
    own += [f"task file {study.name}: {study.path}" for study in STUDIES.values()]
    lines += ["", *own] if own else []
    return [*lines, "", *sections, "", "exp list GROUP says more, exp list GROUP CHOICE names a choice's options"]


def fitting_choices(group: str, kind: str) -> list[str]:
    """Returns the choices of a kind, and the YAML variants of them."""
    own = fitting(group, kind)
    variants = [name for name in choices_of(group) if name not in GROUPS[group] and _based_on(group, name) in own]
    return [*own, *variants]


def choice_lines(group: str) -> list[str]:
    """Returns a line a choice; for a group that is a section as well, its options too."""
    names = choices_of(group)
    width = max(map(len, names))
    lines = [f"{name:{width}}  {meaning(group, name)}" for name in names]
    return [*lines, "", *option_lines(SECTIONS[group])] if group in SECTIONS else lines


def meaning(group: str, name: str) -> str:
    """Returns a choice's meaning in one line."""
    schema = GROUPS.get(group, {}).get(name)
    return summary(schema) if schema else _comment(group, name)


def schema_of(group: str, choice: str | None) -> type:
    """Returns the options class of a section or a choice.

    Raises:
        ConfigError: There is no such group or choice.
    """
    if group in NO_GROUPS:
        raise ConfigError(f"{group}: no group; {NO_GROUPS[group]}")
    if group not in known_groups():
        raise ConfigError(
            f"{group}: no such group; there are {', '.join(known_groups())}{nearest(group, known_groups())}"
        )
    if group in SECTIONS and (choice is None or group not in GROUPS):
        return SECTIONS[group]
    base = choice if choice in GROUPS.get(group, {}) else _based_on(group, str(choice))
    if base not in GROUPS.get(group, {}):
        names = choices_of(group)
        raise ConfigError(f"{group} {choice}: no such choice; there are {', '.join(names)}{nearest(choice, names)}")
    return GROUPS[group][base]


def option_lines(schema: type) -> list[str]:
    """Returns a line an option: default, type and words."""
    words = docs(schema)
    lines = [explain(schema, name) + (f": {words[name]}" if words.get(name) else "") for name in fields(schema)]
    return lines or ["no options"]


def as_records(schema: type) -> list[dict[str, Any]]:
    """Returns an options class's options for JSON."""
    words = docs(schema)
    return [
        {
            "name": name,
            "default": default_of(field),
            "type": describe(hints(schema)[name]),
            "meaning": words.get(name, ""),
        }
        for name, field in fields(schema).items()
    ]


def _based_on(group: str, name: str) -> str:
    """Returns the choice that a YAML variant is made from, empty where it is none."""
    path = _yaml_of(group, name)
    if path is None:
        return ""
    marker = f"/schema/{group}/"
    return next(
        (line.partition(marker)[2].partition("@")[0] for line in path.read_text().splitlines() if marker in line), ""
    )


def _yaml_of(group: str, name: str) -> Path | None:
    return next((path for folder in conf_dirs() if (path := folder / group / f"{name}.yaml").is_file()), None)


def _comment(group: str, name: str) -> str:
    """Returns what the comment at the top of a YAML file says."""
    path = _yaml_of(group, name)
    words = []
    for line in path.read_text().splitlines() if path else ():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return " ".join(words)

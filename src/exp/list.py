"""``python -m exp.list [GROUP]``: what can be chosen, with the options of each choice, one line each."""

import sys

from exp.config import GROUPS, SECTIONS, ConfigError
from exp.config.compose import YAML_GROUPS, choices_of, conf_dir
from exp.config.options import docs, fields, nearest, summary
from exp.config.resolve import explain
from exp.config.run import Axes


def main() -> None:
    """Prints the groups, or one group's choices and their options."""
    words = sys.argv[1:]
    try:
        print("\n".join(lines(*words)))
    except ConfigError as error:
        print(f"exp.list: {error}", file=sys.stderr)
        sys.exit(2)


def lines(group: str | None = None, *more: str) -> list[str]:
    """The text.

    Raises:
        ConfigError: There is no such group.
    """
    known = [*YAML_GROUPS, *SECTIONS, "axes"]
    if more:
        raise ConfigError(f"one group at a time: {', '.join(known)}")
    if group is None:
        overview = [f"{name:9} {' '.join(choices_of(name))}" for name in YAML_GROUPS]
        sections = [f"{name:9} {' '.join(fields(schema))}" for name, schema in SECTIONS.items()]
        return [
            *overview,
            "",
            *sections,
            f"{'axes':9} {' '.join(fields(Axes))}",
            "",
            "python -m exp.list GROUP says more",
        ]
    if group == "axes":
        return _options(Axes, "")
    if group in SECTIONS and group not in YAML_GROUPS:
        return _options(SECTIONS[group], f"{group}.")
    if group not in YAML_GROUPS:
        raise ConfigError(f"{group}: no such group; there are {', '.join(known)}{nearest(group, known)}")
    found = []
    for name in choices_of(group):
        schema = GROUPS.get(group, {}).get(name)
        found.append(f"{group}={name}: {summary(schema) if schema else _comment(group, name)}")
        found += _options(schema, "  ") if schema else []
    if group in SECTIONS:
        found += ["", *_options(SECTIONS[group], f"{group}.")]
    return found


def _options(schema: type, indent: str) -> list[str]:
    said = docs(schema)
    return [f"{indent}{explain(schema, name)}: {said.get(name, '')}" for name in fields(schema)]


def _comment(group: str, name: str) -> str:
    """What the comment at the top of a YAML file says."""
    found = []
    for line in (conf_dir() / group / f"{name}.yaml").read_text().splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        found.append(line.lstrip("# "))
    return " ".join(found)


if __name__ == "__main__":
    main()

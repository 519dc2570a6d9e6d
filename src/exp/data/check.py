"""``python -m exp.data.check NAME [OPTION=VALUE] ... [--format json]``: what of a data set lies on this machine.

Prints counts, what is missing and what is damaged. Exits 1 where a file is damaged, 2 where there is no such data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from exp import registry
from exp.config import GROUPS, ConfigError
from exp.config.options import checked, effective, fields, nearest
from exp.data.source import DataError

_SHOWN = 10
_USAGE = "usage: python -m exp.data.check NAME [OPTION=VALUE] ... [--format text|json]"


def examine(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Checks a data set.

    Args:
        name: As in ``data=NAME``.
        options: Of the set.

    Returns:
        Its fingerprint, and the reader's own report or else the sizes of its parts.

    Raises:
        ConfigError: No such set or option.
        DataError: The set is missing.
    """
    schema = GROUPS["data"].get(name)
    if schema is None:
        raise ConfigError(
            f"{name}: no such data set; there are {', '.join(sorted(GROUPS['data']))}{nearest(name, GROUPS['data'])}"
        )
    values = {}
    for key, value in options.items():
        if key not in fields(schema):
            raise ConfigError(f"{key}={value}: data={name} has no such option{nearest(key, fields(schema))}")
        values[key] = checked(schema, key, value, key)
    source = registry.source({"name": name, **effective(schema, values)})
    found: dict[str, Any] = {"name": name}
    if hasattr(source, "report"):
        found |= source.report()
        if not found.get("damaged"):
            found["fingerprint"] = source.check()
        return found
    found["fingerprint"] = source.check()
    found["parts"] = {part: len(split) for part, split in source.load().items()}
    return found


def as_text(found: dict[str, Any]) -> str:
    """A report for people; long lists cut short."""
    lines = []
    for key, value in found.items():
        if isinstance(value, list):
            lines.append(f"{key:12} {len(value)}")
            lines += [f"  {entry}" for entry in value[:_SHOWN]]
            lines += [f"  and {len(value) - _SHOWN} more (--format json lists all)"] if len(value) > _SHOWN else []
        elif isinstance(value, dict):
            lines.append(f"{key:12} " + ", ".join(f"{name} {count:,}" for name, count in value.items()))
        else:
            lines.append(f"{key:12} {value:,}" if isinstance(value, int) else f"{key:12} {value}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Prints the report; returns the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or {"-h", "--help"} & set(given):
        print(_USAGE)
        return 0 if given else 2
    form = "text"
    if "--format" in given:
        place = given.index("--format")
        form = given[place + 1] if place + 1 < len(given) else ""
        del given[place : place + 2]
    try:
        if form not in ("text", "json"):
            raise ConfigError(f"--format {form}: text or json")
        found = examine(given[0].removeprefix("data="), _options(given[1:]))
    except (ConfigError, DataError, ValueError) as error:
        print(f"exp.data.check: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if form == "json" else as_text(found))
    return 1 if found.get("damaged") else 0


def _options(words: Sequence[str]) -> dict[str, Any]:
    import yaml

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word}: expected OPTION=VALUE; {_USAGE}")
        options[key.removeprefix("data.")] = yaml.safe_load(value)
    return options


if __name__ == "__main__":
    sys.exit(main())

"""``exp data NAME [OPTION=VALUE] ...``: what of a data set is on this machine.

Prints counts, what is missing, left out and damaged. Exits 1 where a file is damaged, 2 where there is no such data.
``--verify`` reads all contents again instead of trusting the files' sizes and times.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from exp.commands.front import add_format, show
from exp.data.fingerprint import reading_anew
from exp.data.source import Split, refuse_unknown_labels
from exp.options.catalog import GROUPS
from exp.options.errors import ConfigError, DataError, nearest
from exp.options.fields import checked, effective, fields

CHANGED = "changed"
_SHOWN = 10


def examine(name: str, options: dict[str, Any], verify: bool = False) -> dict[str, Any]:
    """Checks a data set.

    Args:
        name: As in ``data=NAME``.
        options: Of the set.
        verify: Whether to read all contents again.

    Returns:
        Its fingerprint, and the reader's own report or else the sizes of its parts; under ``contents``, whether they
        are those noted.

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
    source = schema(**effective(schema, values)).reader()
    report: dict[str, Any] = {"name": name}
    if hasattr(source, "report"):
        report |= source.report()
        if not report.get("damaged"):
            report |= _fingerprinted(source, verify)
        return report
    report |= _fingerprinted(source, verify)
    try:
        parts = source.load()
    except ValueError as error:  # of Split, where a reader of one's own gives it something else
        raise DataError(f"{name}: {error}") from error
    if all(isinstance(part, Split) for part in parts.values()):
        refuse_unknown_labels(parts, source.num_classes)
    report["parts"] = {part: len(split) for part, split in parts.items()}
    return report


def _fingerprinted(source: Any, verify: bool) -> dict[str, str]:
    noted: str = source.check()
    if not verify:
        return {"fingerprint": noted}
    with reading_anew():
        read: str = source.check()
    same = "as noted" if read == noted else f"{CHANGED}, though sizes and times are the same; they are noted anew"
    return {"fingerprint": read, "contents": same}


def as_text(report: dict[str, Any]) -> str:
    """Returns the report for people; long lists are cut short."""
    lines = []
    for key, value in report.items():
        if isinstance(value, list):
            lines.append(f"{key:12} {len(value)}")
            lines += [f"  {entry}" for entry in value[:_SHOWN]]
            lines += [f"  and {len(value) - _SHOWN} more (--format json lists all)"] if len(value) > _SHOWN else []
        elif isinstance(value, dict):
            lines.append(f"{key:12} " + ", ".join(f"{name} {count:,}" for name, count in value.items()))
        else:
            lines.append(f"{key:12} {value:,}" if isinstance(value, int) else f"{key:12} {value}")
    return "\n".join(lines)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the data set, as in data=NAME")
    parser.add_argument("words", nargs="*", metavar="OPTION=VALUE", help="options of the set, such as root=/data")
    parser.add_argument("--verify", action="store_true", help="read all contents again, whatever was noted of them")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the report; returns 1 where a file is damaged, or has changed unseen.

    Raises:
        ConfigError: No set is named, or there is no such set or option.
        DataError: The set is missing.
    """
    name = (options.name or "").removeprefix("data=")
    if not name or "=" in name:
        raise ConfigError(f"say which data set: exp data NAME ...; there are {', '.join(sorted(GROUPS['data']))}")
    report = examine(name, _options(options.words), options.verify)
    show(report, as_text(report), options.format)
    return 1 if report.get("damaged") or report.get("contents", "").startswith(CHANGED) else 0


def _options(words: Sequence[str]) -> dict[str, Any]:
    import yaml

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word}: expected OPTION=VALUE")
        options[key.removeprefix("data.")] = yaml.safe_load(value)
    return options

"""Writes a table's file: block style outside, a line a row inside, as a person would write it."""

from pathlib import Path
from typing import Any

import yaml

from exp.cells.files import replace_whole
from exp.options.errors import ConfigError

IN_A_LINE = ("rows", "columns", "published", "sources")
"""Sections whose entries are a line each."""
WIDTH = 100_000


def as_yaml(content: dict[str, Any]) -> str:
    """Returns a table's content as YAML."""
    lines = []
    for key, value in content.items():
        if key in IN_A_LINE and value:
            lines.append(f"{key}:")
            lines += [f"  {_flow(name)}: {_flow(entry)}" for name, entry in value.items()]
        elif key in ("claims", "notes") and value:
            lines.append(f"{key}:")
            lines += [f"  - {_flow(entry)}" for entry in value]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=WIDTH, sort_keys=False)
    return text.removesuffix("...\n").strip()


def write_study(path: Path, content: dict[str, Any], *, first: str = "", anew: bool = False) -> None:
    """Writes a table's file.

    Args:
        path: Where to.
        content: The file's content.
        first: A comment above it.
        anew: Whether a file that is there is replaced.

    Raises:
        ConfigError: There is such a file already, or no such folder.
    """
    if path.exists() and not anew:
        raise ConfigError(f"{path}: is there already; give another name by --out, or --force to replace it")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    comment = "".join(f"# {line}\n" for line in first.splitlines())
    with replace_whole(path) as fresh:
        fresh.write_text(comment + as_yaml(content), encoding="utf-8")

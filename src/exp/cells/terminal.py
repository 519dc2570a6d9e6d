"""How commands, paths and sizes are written for people."""

import shlex
import sys
from pathlib import Path


def shown(path: Path) -> str:
    """Returns a path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


_typed: list[str] = []


def remember_typed(arguments: list[str]) -> None:
    """Keeps the command line as the user typed it, before any of it is rewritten for Hydra."""
    _typed[:] = arguments


def typed_command() -> str:
    """Returns the command line of this process as the user typed it."""
    program = "exp" if Path(sys.argv[0]).name == "exp" else "python -m exp"
    return " ".join([program, *map(shlex.quote, _typed or sys.argv[1:])])


def disk(path: Path) -> str:
    """Returns the size of a folder's contents, such as ``12 KB``."""
    return amount(sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file()))


def amount(size: float) -> str:
    """Returns a number of bytes such as ``12 KB`` or ``1.3 GB``."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"

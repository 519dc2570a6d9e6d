"""How commands, paths and sizes are written for people."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from exp.options.words import shell

PLACES = ("--config-dir", "-cd", "--config-name", "-cn")
"""Flags that say where configuration lies, each with a word behind it or after an equals sign."""


def shown(path: Path) -> str:
    """Returns a path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def columns(otherwise: int) -> int:
    """Returns the terminal's width; ``otherwise`` where the output goes elsewhere and COLUMNS says nothing."""
    return shutil.get_terminal_size((otherwise, 24)).columns


def folded(text: str, width: int, indent: int, first: int = 0) -> str:
    """Returns a text in lines that are broken between words.

    Args:
        text: A line.
        width: Columns of a line.
        indent: Blanks before all lines but the first.
        first: Blanks before the first.
    """
    return textwrap.fill(
        text,
        max(width, indent + 20),
        initial_indent=" " * first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def laid_out(text: str, width: int) -> str:
    """Returns words of help for a terminal: without the marks of their source, and broken between words.

    A line goes on with the next where it ends no sentence; indented lines are examples, each on its own.
    """
    lines: list[str] = []
    for line in text.replace("``", "").splitlines():
        goes_on = lines and lines[-1] and line and " " not in (line[0], lines[-1][0]) and lines[-1][-1] not in ".:"
        lines[-1:] = [f"{lines[-1]} {line}"] if goes_on else [*lines[-1:], line]
    return "\n".join(line if len(line) <= width else folded(line, width, _start(line)) for line in lines)


def _start(line: str) -> int:
    """Returns where the lines begin that a line is broken into, further in than the first of an example."""
    blanks = len(line) - len(line.lstrip())
    return blanks + 4 if blanks else 0


_typed: list[str] = []


def remember_typed(arguments: list[str]) -> None:
    """Keeps the command line as the user typed it, before any of it is rewritten for Hydra."""
    _typed[:] = arguments


def typed_command() -> str:
    """Returns the command line of this process as the user typed it, to be pasted into a shell."""
    script = Path(sys.argv[0]).name == "exp"
    called = sys.argv[0] if script else sys.orig_argv[0]
    beside = os.sep in called and not os.path.isabs(called)  # as .venv/bin/python, of an environment that is not active
    program = [called if beside else "exp" if script else "python", *([] if script else ["-m", "exp"])]
    return pasted(*program, *(_typed or sys.argv[1:]))


def pasted(*words: str) -> str:
    """Returns a command with its words quoted for a shell."""
    return " ".join(map(shell, words))


def places(words: Sequence[str] | None = None) -> list[str]:
    """Returns the words that say where configuration lies, to be typed again with another command.

    Args:
        words: A command line; this process's own where not given.
    """
    words = _typed if words is None else words
    kept: list[str] = []
    for place, word in enumerate(words):
        if word in PLACES:
            kept += words[place : place + 2]
        elif word.startswith((*(f"{flag}=" for flag in PLACES), "hydra.searchpath=", "+hydra.searchpath=")):
            kept.append(word)
    return kept


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


def one_or_more(number: int, what: str) -> str:
    """Returns ``1 cell`` or ``2 cells``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def count(value: float | None) -> str:
    """``11.22 M``."""
    if value is None:
        return "-"
    for unit in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.0f}" if not unit else f"{value:.2f} {unit}"
        value /= 1000
    return f"{value:.2f} T"


def duration(seconds: float) -> str:
    """``12 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

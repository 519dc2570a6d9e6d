"""Errors that end in one line and an exit code; here, so that telling them apart loads nothing."""

import difflib
import functools
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


class _InOneLine:
    """An error that a notebook shows in one line, in place of the source of exp on the way to it."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class ConfigError(_InOneLine, ValueError):
    """A choice or option is wrong; the message is one line: what, where, what to do. Exit code 2."""


class DataError(_InOneLine, Exception):
    """A data set is missing or damaged; the message is one line: what, where, and what to do. Exit code 2."""


class CellFailed(_InOneLine, Exception):
    """A cell has not ended well and whoever asked for it does not go on. Exit code 1."""


def interrupt(words: str) -> KeyboardInterrupt:
    """Returns an interrupt that a notebook shows in one line."""
    error = KeyboardInterrupt(words)
    error.__dict__["_render_traceback_"] = lambda: [f"KeyboardInterrupt: {words}"]
    return error


def shown(error: BaseException) -> str:
    """Returns an error's message in one line that does nothing to a terminal: what cannot be printed is escaped."""
    text = " ".join(str(error).splitlines())
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def brief(error: BaseException) -> str:
    """Returns ``worded`` of an error, and behind it the line of the user's own code where it was raised."""
    own = "" if isinstance(error, (_InOneLine, SyntaxError)) else place(error)
    return f"{worded(error)} ({own})" if own else worded(error)


def worded(error: BaseException) -> str:
    """Returns what kind of error it is and the first line of its message; a file that is not Python with its path."""
    first, *_ = str(error).strip().splitlines() or [""]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: not Python: {error.msg}"
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__


def place(error: BaseException) -> str:
    """Returns ``file:line`` of the innermost line of a user's own code that raised an error, empty where none did.

    A file below the working directory is named from there.
    """
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if not is_foreign(path):
            found = f"{_from_here(path)}:{line}"
    return found


def _from_here(path: Path) -> Path:
    try:
        here = Path.cwd()
    except OSError:  # the working directory was removed
        return path
    return path.relative_to(here) if path.is_relative_to(here) else path


def is_foreign(path: Path) -> bool:
    """Returns whether code is none of a user's own: exp's, Python's, an installed package's, or of no file."""
    made = path.name.startswith("<") or any(part.startswith("torchinductor") for part in path.parts)
    return made or any(path.is_relative_to(folder) for folder in _foreign())


@functools.cache
def _foreign() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [Path(sysconfig.get_path(name)) for name in names]
    return (Path(__file__).parents[1], *folders, *(folder.resolve() for folder in folders))


def nearest(word: object, known: Iterable[object], cutoff: float = 0.65) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest spelling among ``known``, or an empty string.

    Args:
        word: What was typed.
        known: What might have been meant.
        cutoff: How alike the two have to be, of 1; where many names are known, chance finds one that is half alike.
    """
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""

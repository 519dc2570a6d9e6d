"""Errors that end in one line and an exit code; here, so that telling them apart loads nothing."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A choice or option is wrong; the message is one line: what, where, what to do. Exit code 2."""


class DataError(Exception):
    """A data set is missing or damaged; the message is one line: what, where, and what to do. Exit code 2."""


class CellFailed(Exception):
    """A cell has not ended well and whoever asked for it does not go on. Exit code 1."""


def shown(error: BaseException) -> str:
    """Returns an error's message in one line that does nothing to a terminal: what cannot be printed is escaped."""
    text = " ".join(str(error).splitlines())
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def brief(error: BaseException) -> str:
    """Returns what kind of error it is and the first line of its message; a file that is not Python with its path."""
    first, *_ = str(error).strip().splitlines() or [""]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: not Python: {error.msg}"
    return f"{type(error).__name__}: {first.strip()}" if first else type(error).__name__


def nearest(word: object, known: Iterable[object], cutoff: float = 0.65) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest spelling among ``known``, or an empty string.

    Args:
        word: What was typed.
        known: What might have been meant.
        cutoff: How alike the two have to be, of 1; where many names are known, chance finds one that is half alike.
    """
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""

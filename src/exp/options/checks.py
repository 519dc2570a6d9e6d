"""Checks of single values, for ``option``: each returns what a value has to be, or None where it is right."""

import math
import re
import shlex
from typing import Any

from exp.options.errors import nearest
from exp.options.fields import Check


def at_least(low: float) -> Check:
    """Checks a lower bound."""
    return lambda value: None if low <= value < math.inf else f"at least {low:g}"


def above(low: float) -> Check:
    """Checks a lower bound that is not itself allowed."""
    return lambda value: None if low < value < math.inf else f"above {low:g}"


def odd(value: int) -> str | None:
    """Checks for a positive odd number."""
    return None if value > 0 and value % 2 else "odd and positive"


def fraction(value: float) -> str | None:
    """Checks for a number in [0, 1)."""
    return None if 0 <= value < 1 else "at least 0 and below 1"


def probability(value: float) -> str | None:
    """Checks for a number in [0, 1]."""
    return None if 0 <= value <= 1 else "between 0 and 1"


def finite(value: float) -> str | None:
    """Checks for a number that is neither infinite nor no number."""
    return None if math.isfinite(value) else "finite"


def each(check: Check) -> Check:
    """Checks a number, or every number of a list that has at least one."""

    def wrong(value: float | list[float]) -> str | None:
        if not isinstance(value, list):
            return check(value)
        return next(filter(None, map(check, value)), None) if value else "a number, or one a channel"

    return wrong


def joined(*known: str) -> Check:
    """Checks for an ordered set joined by +, such as ``avg+max``."""

    def check(value: str) -> str | None:
        parts = value.split("+")
        unknown = [part for part in parts if part not in known]
        if unknown:
            return f"{', '.join(known)} joined by +{nearest(unknown[0], known)}"
        return None if len(set(parts)) == len(parts) else "without repeats"

    return check


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float | None:
    """Returns the seconds of a duration such as ``2h``, ``90min`` or ``1d12h``; None where it is none above zero."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|s|h|d)\s*", text)
    whole = "".join(f"{amount}{unit}" for amount, unit in parts) == re.sub(r"\s", "", text)
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    return seconds if whole and seconds > 0 else None


def duration(value: str) -> str | None:
    """Checks for a duration with its unit."""
    return None if seconds_of(value) is not None else "a duration with its unit, such as 2h, 90min, 45s or 1d12h"


def program(value: str) -> str | None:
    """Checks for a program with its arguments, as they are typed."""
    try:
        return None if shlex.split(value) else "a program, with its arguments if it has some"
    except ValueError as error:
        return f"a program with its arguments: {str(error).lower()}"


def keywords(value: Any) -> str | None:
    """Checks for a mapping from names to values."""
    named = isinstance(value, dict) and all(isinstance(key, str) and key.isidentifier() for key in value)
    return None if named else "options by name, such as {reduction: 8}"

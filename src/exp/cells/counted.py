"""How far something slow is that comes before the training: drawing, converting and reading a set, planning a sweep."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from exp.cells.terminal import duration

T = TypeVar("T")

SILENT = 3.0
"""Seconds for which nothing is said: most of it is over by then."""
APART = 0.5
"""Seconds between two looks at a line on a terminal."""
LINES_APART = 30.0
"""Seconds between two lines where there is no terminal, as in a cell's log."""


def counted(items: Iterable[T], what: str, total: int, *, each: int = 1) -> Iterator[T]:
    """Yields items, and says on the standard error how many are done and how long the rest will take.

    A terminal has one line, which is gone in the end; a log has a line every half minute; a machine that tests
    (``CI`` is set) has none.

    Args:
        items: What is worked on, one after the other.
        what: What is done, ``drawing walkers``.
        total: How many there are.
        each: How many an item has; the last may have fewer.
    """
    inline = sys.stderr.isatty()
    if os.environ.get("CI"):
        yield from items
        return
    began = time.monotonic()
    due, told = began + SILENT, False
    try:
        for number, item in enumerate(items):
            done = number * each
            now = time.monotonic()
            if done and now >= due:
                line = f"{what}: {done:,} of {total:,}, {duration((now - began) / done * (total - done))} left"
                print(f"\r\x1b[K{line}" if inline else f"exp: {line}", end="" if inline else "\n", file=sys.stderr)
                sys.stderr.flush()
                due, told = now + (APART if inline else LINES_APART), True
            yield item
    finally:
        if told and inline:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

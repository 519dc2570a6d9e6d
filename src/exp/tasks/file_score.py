"""A score of files of predictions: a task's ``score.py`` offers some, ``exp score NAME`` prints them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileScore:
    """A score of files.

    Attributes:
        meaning: What it is, one sentence.
        arguments: Declares the arguments of its command line.
        scored: Scores what a command line names; returns plain values, as ``--format json`` prints them, and what a
            terminal shows. It raises ``DataError`` for files that are missing or damaged, ``ConfigError`` for wrong
            values of arguments.
    """

    meaning: str
    arguments: Callable[[argparse.ArgumentParser], None]
    scored: Callable[[argparse.Namespace], tuple[dict[str, Any], str]]

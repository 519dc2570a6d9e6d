"""``exp score NAME ...``: official scores of prediction files, such as ``exp score culane --pred DIR --gt DIR``.

``exp score NAME --help`` says what a score takes.
"""

import argparse
import importlib
import importlib.util
from collections.abc import Callable

from exp.options.catalog import TASKS
from exp.options.errors import ConfigError, nearest

PASSES_ON = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments; those behind the name are the score's own."""
    parser.add_argument("words", nargs="+", metavar="NAME ...", help=f"the score: {', '.join(scores())}")


def run(options: argparse.Namespace) -> int:
    """Scores files.

    Raises:
        ConfigError: No score is named, or there is no such score.
    """
    known = scores()
    if not options.words:
        raise ConfigError(f"say which score: exp score NAME ...; there are {', '.join(known)}")
    name = options.words[0]
    if name not in known:
        raise ConfigError(f"{name}: no such score; there are {', '.join(known)}{nearest(name, known)}")
    return known[name](options.words[1:], f"exp score {name}")


def scores() -> dict[str, Callable[[list[str], str], int]]:
    """Returns the scores that tasks offer, by name; each takes its arguments and the program's name."""
    known: dict[str, Callable[[list[str], str], int]] = {}
    for task in TASKS.values():
        module = f"{task.builds.partition(':')[0].rpartition('.')[0]}.score"
        if importlib.util.find_spec(module) is not None:
            known |= importlib.import_module(module).SCORES
    return known

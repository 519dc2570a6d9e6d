"""``exp score NAME ...``: official scores of prediction files, such as ``exp score culane --pred DIR --gt DIR``.

``exp score NAME --help`` says what a score takes.
"""

import argparse
import importlib
import importlib.util

from exp.commands.flags import LineParser, OnTerminal
from exp.commands.front import add_format, show
from exp.options.catalog import TASKS
from exp.options.errors import ConfigError, nearest
from exp.tasks.file_score import FileScore

PASSES_ON = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments; those behind the name are the score's own."""
    parser.add_argument("words", nargs="+", metavar="NAME ...", help=f"the score: {', '.join(scores())}")


def run(options: argparse.Namespace) -> int:
    """Scores files.

    Raises:
        ConfigError: No score is named, there is no such score, or its command line is wrong.
        DataError: Files are missing or damaged.
    """
    known = scores()
    if not options.words:
        raise ConfigError(f"say which score: exp score NAME ...; there are {', '.join(known)}")
    name, *words = options.words
    if name not in known:
        raise ConfigError(f"{name}: no such score; there are {', '.join(known)}{nearest(name, known)}")
    score = known[name]
    parser = LineParser(prog=f"exp score {name}", description=score.meaning, formatter_class=OnTerminal)
    parser.typed = words
    score.arguments(parser)
    add_format(parser)
    given = parser.parse_args(words)
    show(*score.scored(given), given.format)
    return 0


def scores() -> dict[str, FileScore]:
    """Returns the scores that tasks offer, by name."""
    known: dict[str, FileScore] = {}
    for task in TASKS.values():
        module = f"{task.builds.partition(':')[0].rpartition('.')[0]}.score"
        if importlib.util.find_spec(module) is not None:
            known |= importlib.import_module(module).SCORES
    return known

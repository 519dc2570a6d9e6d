"""``exp predict task=NAME ckpt=CELL/best.ckpt [OPTION=VALUE] FILES``: predictions of a trained cell on your own files.

What else a task takes, ``exp predict task=NAME --help`` says.
"""

import argparse
import importlib
import importlib.util
from pathlib import Path

from exp.options.catalog import TASKS
from exp.options.errors import ConfigError, nearest

PASSES_ON = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments; options are the task's own."""
    parser.add_argument(
        "words", nargs="+", metavar="OPTION=VALUE | FILE", help=f"task={'|'.join(predictors())}, ckpt=, ..."
    )


def run(options: argparse.Namespace) -> int:
    """Predicts and returns the task's exit code.

    Raises:
        ConfigError: The task does not predict, or an option is wrong.
        DataError: A file cannot be read.
    """
    given = dict(word.split("=", 1) for word in options.words if _is_option(word))
    paths = [Path(word) for word in options.words if not _is_option(word) and not word.startswith("-")]
    task, known = given.pop("task", None), predictors()
    if task not in known:
        raise ConfigError(f"task={task}: give one of {', '.join(known)}{nearest(task, known)}")
    module = importlib.import_module(known[task])
    if {"-h", "--help"} & set(options.words):
        print(module.__doc__)
        return 0
    return int(module.predict(given, paths))


def predictors() -> dict[str, str]:
    """Returns the module with ``predict(options, paths) -> exit code`` of each task that predicts."""
    modules = {name: f"{task.builds.partition(':')[0].rpartition('.')[0]}.predict" for name, task in TASKS.items()}
    return {name: module for name, module in modules.items() if importlib.util.find_spec(module) is not None}


def _is_option(word: str) -> bool:
    return "=" in word and word.partition("=")[0].isidentifier()

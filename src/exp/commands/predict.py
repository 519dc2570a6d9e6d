"""``exp predict ckpt=CELL/best.ckpt [OPTION=VALUE] FILES``: predictions of a trained cell on your own files.

The task is that of the cell. What else it takes, ``exp predict task=NAME --help`` says.
"""

import argparse
import importlib
import importlib.util
from pathlib import Path

from exp.cells.files import read_json
from exp.cells.terminal import columns, laid_out
from exp.options.catalog import TASKS
from exp.options.errors import ConfigError, nearest
from exp.options.weights import checkpoint_of

PASSES_ON = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments; options are the task's own."""
    parser.add_argument(
        "words", nargs="+", metavar="OPTION=VALUE | FILE", help=f"ckpt=, task={'|'.join(predictors())}, ..."
    )


def run(options: argparse.Namespace) -> int:
    """Predicts and returns the task's exit code.

    Raises:
        ConfigError: No checkpoint is given or no cell is beside it, its task does not predict, or an option is wrong.
        DataError: A file cannot be read.
    """
    given = dict(word.split("=", 1) for word in options.words if _is_option(word))
    paths = [Path(word) for word in options.words if not _is_option(word) and not word.startswith("-")]
    if "ckpt" in given:
        given["ckpt"] = str(checkpoint_of(Path(given["ckpt"]).expanduser(), f"ckpt={given['ckpt']}"))
    module = importlib.import_module(_predictor(given.pop("task", None), given.get("ckpt")))
    if {"-h", "--help"} & set(options.words):
        print(laid_out((module.__doc__ or "").strip(), columns(120)))
        return 0
    return int(module.predict(given, paths))


def _predictor(task: str | None, ckpt: str | None) -> str:
    """Returns the module that predicts, of the task that is named or else that of the checkpoint's cell.

    Raises:
        ConfigError: The task does not predict, or nothing says which it is.
    """
    known = predictors()
    if task is not None:
        if task not in known:
            raise ConfigError(f"task={task}: give one of {', '.join(known)}{nearest(task, known)}")
        return known[task]
    if ckpt is None:
        raise ConfigError("say by which cell: exp predict ckpt=CELL/best.ckpt FILES; exp predict --help says more")
    path = Path(ckpt)
    if not path.is_file():
        raise ConfigError(f"ckpt={ckpt}: no such file")
    record = read_json(path.parent / "config.json") or {}
    task = record.get("config", {}).get("task", {}).get("name")
    if task is None:
        raise ConfigError(f"ckpt={ckpt}: no cell's config.json lies beside it; keep checkpoint and cell together")
    if task not in known:
        raise ConfigError(f"ckpt={ckpt}: a cell of task={task}, which does not predict; {', '.join(known)} do")
    return known[task]


def predictors() -> dict[str, str]:
    """Returns the module with ``predict(options, paths) -> exit code`` of each task that predicts."""
    modules = {name: f"{task.builds.partition(':')[0].rpartition('.')[0]}.predict" for name, task in TASKS.items()}
    return {name: module for name, module in modules.items() if importlib.util.find_spec(module) is not None}


def _is_option(word: str) -> bool:
    return "=" in word and word.partition("=")[0].isidentifier()

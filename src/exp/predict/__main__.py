"""``python -m exp.predict task=NAME ckpt=CELL/best.ckpt [OPTION=VALUE] FILES``: hands over to the task's own module."""

import importlib
import pkgutil
import sys
from pathlib import Path

import exp.predict
from exp.config import TASKS, ConfigError
from exp.config.options import nearest
from exp.errors import DataError


def main(words: list[str] | None = None) -> int:
    """Predicts; returns the task's exit code, or 2 where the call cannot stand."""
    words = sys.argv[1:] if words is None else words
    options = dict(word.split("=", 1) for word in words if _is_option(word))
    paths = [Path(word) for word in words if not _is_option(word)]
    tasks = sorted(module.name for module in pkgutil.iter_modules(exp.predict.__path__) if module.name in TASKS)
    if {"-h", "--help"} & set(words):
        for name in tasks:
            print(importlib.import_module(f"exp.predict.{name}").__doc__)
        return 0
    try:
        task = options.pop("task", None)
        if task not in tasks:
            raise ConfigError(f"task={task}: give one of {', '.join(tasks)}{nearest(task, tasks)}")
        code: int = importlib.import_module(f"exp.predict.{task}").predict(options, paths)
        return code
    except (ConfigError, DataError) as error:
        print(f"exp.predict: {error}", file=sys.stderr)
        return 2


def _is_option(word: str) -> bool:
    return "=" in word and word.partition("=")[0].isidentifier()


if __name__ == "__main__":
    sys.exit(main())

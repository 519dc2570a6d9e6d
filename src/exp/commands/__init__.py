"""The verbs of the command line, ``exp VERB ...``, one file each.

A verb's module has ``arguments(parser)``, which declares its arguments, and ``run(options) -> int``, which returns the
exit code and raises ``ConfigError`` or ``DataError`` with one line for the user. Its docstring is its help. A module
with ``PASSES_ON`` gets the words as they are, since a task decides what they mean.
"""

VERBS = {
    "list": "what can be chosen, and the options of it",
    "help": "how to use exp, in one screen",
    "cost": "parameters, MACs and FLOPs of a model",
    "check": "a task looked over: data, resuming, speed",
    "new": "a task, model, block, data or table of yours",
    "diff": "how two cells differ",
    "table": "tables: list, run, compare, check, make",
    "watch": "how the cells go, live; also in a browser",
    "report": "one page with every table that has run",
    "predict": "what a cell predicts for files of yours",
    "score": "official scores of prediction files",
    "data": "what of a data set is on this machine",
    "pack": "finished cells in one file",
    "merge": "cells that ran elsewhere",
    "log": "finished cells to W&B, TensorBoard or CSV",
    "export": "a table with its cells, for a repository",
    "clean": "what the folder of cells holds; removal",
    "dashboard": "a W&B workspace for a table",
}
"""Every verb and what it is for."""

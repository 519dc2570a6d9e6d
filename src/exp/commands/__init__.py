"""The verbs of the command line, ``exp VERB ...``, one file each.

A verb's module has ``arguments(parser)``, which declares its arguments, and ``run(options) -> int``, which returns the
exit code and raises ``ConfigError`` or ``DataError`` with one line for the user. Its docstring is its help. A module
with ``PASSES_ON`` gets the words as they are, since a task decides what they mean.
"""

VERBS = {
    "list": "what can be chosen, and each choice's options",
    "help": "how to use exp, in one screen",
    "cost": "parameters, MACs and FLOPs of a model",
    "check": "a task looked over: data, learning, resuming, speed",
    "new": "a task, model, block, data set or table of your own",
    "diff": "how two cells differ",
    "table": "published tables: list, run, compare, check",
    "watch": "how the cells go, live, in the terminal or in a browser",
    "report": "one page with every table that has run",
    "predict": "predictions of a trained cell on your own files",
    "score": "official scores of prediction files",
    "data": "what of a data set is on this machine",
    "pack": "finished cells in one file",
    "merge": "cells that ran elsewhere",
    "log": "finished cells sent to W&B, TensorBoard or CSV",
    "export": "a table with its cells, for a repository",
    "clean": "what the folder of cells holds, and its removal",
    "dashboard": "a W&B workspace for a table",
}
"""Every verb and what it is for."""

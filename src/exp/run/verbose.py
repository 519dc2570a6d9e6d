"""``hydra.verbose``: messages of Python's logging, where a cell prints."""

import json
import logging
import os

VARIABLE = "EXP_VERBOSE"
"""Environment variable by which a sweep's cells learn of it."""


def be_verbose(asked: bool | str | list[str]) -> None:
    """Shows messages from debug upwards.

    Args:
        asked: Whether of all loggers, or the names of some.
    """
    if not asked:
        return
    logging.basicConfig(format="[%(asctime)s][%(name)s][%(levelname)s] %(message)s")
    names = [None] if asked is True else [asked] if isinstance(asked, str) else asked
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)


def be_verbose_as_the_sweep() -> None:
    """Shows messages as the sweep that started this process was asked to."""
    be_verbose(json.loads(os.environ.get(VARIABLE, "false")))

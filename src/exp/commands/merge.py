"""``exp merge FILE|DIR ... [--into DIR]``: cells that ran elsewhere join those here.

A cell is known by its identity. One that is done in both places is kept as it is here, and compared: equal weights,
equal metrics, or what differs. That is how far the cell can be reproduced. What tables have chosen there by their
results, and at which looks rows got further seeds, is taken over where there is nothing of it here.
"""

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import Any

from exp.cells.bundle import merge, tables_of
from exp.cells.files import writing
from exp.cells.terminal import pasted
from exp.options.errors import ConfigError
from exp.options.words import spelt
from exp.tables import choices, looks


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE|DIR")
    parser.add_argument("--into", type=Path, default=Path("multirun"), help="folder of cells (multirun if not given)")


WORDS = {
    "new": "taken",
    "same": "done here too, with equal weights",
    "equal": "done here too, with equal metrics and other weights",
    "differs": "done here too, with other metrics; those here are kept",
    "kept": "left as they are here",
}


def run(options: argparse.Namespace) -> int:
    """Merges and prints how many of each kind, and what differs.

    Raises:
        ConfigError: A source is no packed file or folder, or holds what is no cell's; or nothing can be written there.
    """
    for source in options.sources:
        if source.exists() and not os.access(source, os.R_OK):
            raise ConfigError(f"{source}: cannot be read")
    told, following = [], []
    with writing("give another folder with --into"):
        merged = [one for source in options.sources for one in merge(source, options.into)]
        if not merged:
            raise ConfigError(f"{', '.join(map(str, options.sources))}: holds no finished cell")
        for source in options.sources:
            theirs = tables_of(source)
            following += _tables_run(theirs, options.into)
            told += [*choices.take(options.into, theirs), *looks.take(options.into, theirs)]
    for one in merged:
        if one.text:
            print(f"{one.became:8} {one.name}: {one.text}")
    for became, count in Counter(one.became for one in merged).items():
        print(f"{count} cells {WORDS[became]}")
    for line in told:
        print(f"{line} is kept")
    for command in dict.fromkeys(following):
        print(f"Next: {command}")
    return 0


def _tables_run(theirs: Any, into: Path) -> list[str]:
    """Returns commands that show the tables that were packed, as they were run; what is of another form is left out."""
    where = [] if into == Path("multirun") else [f"cells.dir={spelt(str(into))}"]
    commands = []
    for table, entry in theirs.items() if isinstance(theirs, dict) else ():
        variants = entry.get("variants") if isinstance(entry, dict) and choices.is_name(table) else None
        for words in variants if isinstance(variants, list) else ():
            if isinstance(words, list) and all(isinstance(word, str) and "=" in word for word in words):
                commands.append(pasted("exp", "table", table, *words, *where))
    return commands

"""``exp watch [TABLE | DIR] [OPTION=VALUE] ...``: how the cells go, from another terminal or in a browser.

It reads the cells' files alone, on any machine that sees the folder, and starts, locks and changes nothing.

    exp watch                      the cells in multirun
    exp watch modules              the cells of a table, as it was run last
    exp watch --once               prints them and ends
    exp watch --web                the same in a browser on this machine
    exp watch --web --host 0.0.0.0 reachable from others, by a link with a token
"""

import argparse
import sys
from pathlib import Path

from exp.cells.terminal import shown
from exp.commands.front import add_composition, composition
from exp.options.errors import ConfigError
from exp.sweep.lines import new_console
from exp.tables import choices
from exp.tables.choices import root_of
from exp.tables.given import changing
from exp.tables.plan import Planner, TablePlan
from exp.tables.reading import canonical
from exp.watch.folder import Folder
from exp.watch.live import Live, Tables
from exp.watch.terminal import Terminal
from exp.watch.web import PORT, serve


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "words", nargs="*", metavar="TABLE | DIR | OPTION=VALUE", help="a table with overrides, or a folder of cells"
    )
    parser.add_argument("--once", action="store_true", help="print the cells as they are now and end")
    parser.add_argument("--web", action="store_true", help="show them in a browser")
    parser.add_argument("--port", type=int, help=f"port of the page; {PORT} or a free one if not given")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; this machine alone if not given")
    parser.add_argument("--token", action="store_true", help="ask for a token on this machine, too")
    add_composition(parser)


def run(options: argparse.Namespace) -> int:
    """Shows the cells until it is ended.

    Raises:
        ConfigError: There is no such table or folder, an override is wrong, or the address is taken.
    """
    what = [word for word in options.words if "=" not in word]
    if len(what) > 1:
        raise ConfigError(f"{' '.join(what)}: one table or folder at a time")
    folder, title, tables = _watched(what[0] if what else "", options)
    if options.web:
        return serve(Live(folder, title, tables), options.host, options.port, options.token)
    console = new_console() if options.once else None
    if console is None and not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise ConfigError("no terminal to draw in; --once prints the cells, --web shows them in a browser")
    try:
        view = Terminal(folder, title, console or new_console())
        view.once() if options.once else view.run()
    except KeyboardInterrupt:
        return 0
    return 0


def _watched(word: str, options: argparse.Namespace) -> tuple[Folder, str, Tables]:
    """Returns the cells that a word names, what to call them, and the tables they belong to."""
    overrides, compose = composition(options, [text for text in options.words if "=" in text])
    root = Path(word).absolute() if word and Path(word).is_dir() else root_of(overrides)
    if not word or Path(word).is_dir():
        if not root.is_dir():
            raise ConfigError(f"{shown(root)}: no such folder of cells; a sweep makes it, or give another")
        return Folder(root), shown(root), Tables(root, compose)
    word = canonical(word)
    runs = choices.variants(root, word)
    if runs and not changing(overrides):
        overrides = [*overrides, *runs[-1]]
    plan = Planner(root, judged=False, compose=compose).plan(word, overrides)
    title = " ".join([word, *plan.given.variant()])
    return Folder(plan.root, cells_of(plan)), title, Tables(root, compose, (word, overrides))


def cells_of(plan: TablePlan) -> dict[str, str]:
    """Returns the cells of a table by id, each with its row and seed as its name."""
    return {
        f"{planned.cell.task}/{planned.cell.path.name}": f"{part.title} s{planned.seed}"
        for row in reversed(plan.rows)
        for part in row.each
        for planned in part.cells
    }

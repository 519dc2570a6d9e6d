"""``exp report [TABLE] ... [OPTION=VALUE] ...``: one page, report.html, with every table that has run.

Named tables are in it whether they have run or not. With --site DIR it is a folder of pages instead, for a web host or
a supplement: one page a table, one a cell, figures and downloads.
"""

import argparse
from pathlib import Path

from exp.cells.files import writing
from exp.cells.terminal import disk, shown
from exp.commands.front import add_composition, composition
from exp.commands.table_one import comparisons, write_report
from exp.options.errors import ConfigError
from exp.tables import choices
from exp.tables.choices import root_of
from exp.tables.given import changing
from exp.tables.reading import canonical, known_tables, load
from exp.watch.site import write_site


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="*", metavar="TABLE | OPTION=VALUE", help="tables, and overrides of their cells")
    parser.add_argument("--site", type=Path, metavar="DIR", help="write a folder of pages instead of one page")
    add_composition(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the report.

    Raises:
        ConfigError: There is no such table, an override is wrong, or nothing can be written there.
    """
    overrides, compose = composition(options, [word for word in options.words if "=" in word])
    root, asked = root_of(overrides), changing(overrides)
    tables = [canonical(word) for word in options.words if "=" not in word] or known_tables(root)
    for name in tables:
        load(name)
    wanted = {name: [asked] if asked else [[], *choices.variants(root, name)] for name in tables}
    if options.site is None:
        print(f"{write_report(root, wanted, compose)} written")
        return 0
    begun = [one for one in comparisons(root, wanted, compose) if any(c.state != "missing" for c in one.plan.cells)]
    if not begun:
        raise ConfigError(f"--site: no table has run in {shown(root)}; exp table NAME --run")
    folder = options.site.absolute()
    with writing("give another folder with --site"):
        pages = write_site(begun, folder)
    print(f"{pages} pages written to {shown(folder)} ({disk(folder)}); open index.html")
    return 0

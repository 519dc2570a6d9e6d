"""``exp report [TABLE] ... [OPTION=VALUE] ...``: one page, report.html, with every table that has run.

Named tables are in it whether they have run or not.
"""

import argparse

from exp.commands.front import add_composition, composition
from exp.commands.table import known_tables, write_report
from exp.tables import choices
from exp.tables.given import changing, root_of
from exp.tables.reading import canonical, load


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="*", metavar="TABLE | OPTION=VALUE", help="tables, and overrides of their cells")
    add_composition(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the report.

    Raises:
        ConfigError: There is no such table, or an override is wrong.
    """
    overrides, compose = composition(options, [word for word in options.words if "=" in word])
    root, asked = root_of(overrides), changing(overrides)
    tables = [canonical(word) for word in options.words if "=" not in word] or known_tables(root)
    for name in tables:
        load(name)
    wanted = {name: [asked] if asked else [[], *choices.variants(root, name)] for name in tables}
    print(f"{write_report(root, wanted, compose)} written")
    return 0

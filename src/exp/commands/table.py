"""``exp table [NAME] [OPTION=VALUE] ...``: published tables, how far each is, what it says beside what was published.

Without a name: the tables there are and how complete each is. With one: the table; --run runs the missing cells.
Overrides hold for every cell; one of an option that the rows vary keeps those rows.

    exp table new paper.tex --table 2             a paper's table becomes one that runs (.tex, .md, .html, .csv, .txt)
    exp table new runs.csv                        so do other tools' runs with a column of seeds
    exp table new --from-sweep 'att=none,ca seed=0,1,2'     and cells that were run without a table
    exp table new --from-sweep multirun/attention
"""

import argparse
from pathlib import Path

from exp.commands.front import add_composition, add_format, composition, further_folders
from exp.options.errors import ConfigError
from exp.tables.reading import canonical, names, own_names


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("words", nargs="*", metavar="NAME | OPTION=VALUE", help="a table, and overrides of its cells")
    parser.add_argument("--run", action="store_true", help="run the cells that are missing")
    parser.add_argument(
        "--resolve", action="store_true", help="with --run: add seeds to rows until their verdicts are clear"
    )
    parser.add_argument("--budget", type=int, metavar="N", help="with --resolve: add at most N cells")
    parser.add_argument("--dry", action="store_true", help="with --run: tell what would run and what it would take")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; standard output if not given")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit 1 where a number is outside tolerance, a claim is refuted, or nothing has run",
    )
    parser.add_argument(
        "--document", action="store_true", help="with --format tex: a document, not a fragment to input"
    )
    parser.add_argument("--table", type=int, metavar="N", help="new: which table of the file, from 1")
    parser.add_argument("--from-sweep", metavar="CELLS", help="new: overrides of a sweep, or a folder of cells")
    parser.add_argument("--force", action="store_true", help="new: replace a file that is there")
    add_composition(parser)
    add_format(parser, "terminal", "md", "tex", "html", "csv", "json")


def run(options: argparse.Namespace) -> int:
    """Lists the tables, or shows or runs one.

    Raises:
        ConfigError: There is no such table, an override is wrong, or nothing of it can run.
        DataError: A data set is missing or damaged.
    """
    if options.resolve and not options.run:
        raise ConfigError("--resolve: goes with --run, since it adds cells")
    if options.budget is not None and (not options.resolve or options.budget < 1):
        raise ConfigError(f"--budget={options.budget}: a number of cells from 1 up that --run --resolve may add")
    if options.dry and (not options.run or options.resolve):
        raise ConfigError("--dry: goes with --run and without --resolve; it tells what would run, and how long")
    whole = [word for word in options.words if word.startswith(("sweep.budget=", "sweep.notify=", "sweep.dry="))]
    if options.resolve and whole:
        raise ConfigError(f"{whole[0]}: is for one sweep, and --resolve makes several; leave it out")
    tables = [word for word in options.words if "=" not in word]
    given = [word for word in options.words if "=" in word]
    if options.words[:1] == ["new"]:
        from exp.commands.table_new import new_table

        return new_table(options, options.words[1:], composition(options, given)[1])
    if options.table or options.from_sweep or options.force:
        raise ConfigError("--table, --from-sweep and --force are of exp table new")
    if not tables:
        if options.run or options.check:
            raise ConfigError(f"say which table: {', '.join([*own_names(), *names()])}")
        from exp.commands.table_list import print_list

        return print_list(*further_folders(options, given), options.config_name)
    if len(tables) > 1:
        raise ConfigError(f"{' '.join(tables)}: one table at a time")
    from exp.commands.table_one import run_table

    return run_table(canonical(tables[0]), options, *composition(options, given))

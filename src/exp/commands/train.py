"""What words without a verb mean: Hydra composes one cell or a sweep, and it runs. Loads no torch by itself."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from exp.commands.flags import Flags
from exp.options.errors import CellFailed, ConfigError, DataError
from exp.options.folders import conf_dir
from exp.run.from_cell import told, with_choices_of_checkpoint

SWEEPER_TABLE = "hydra.sweeper.table="

OURS = ("exp.run.", "exp.sweep.", "exp.tables.", "exp.tasks.", "hydra_plugins.")
"""Packages in which a cell or a sweep has begun."""


def train(arguments: list[str]) -> int:
    """Runs a cell or a sweep under Hydra and returns the exit code.

    Args:
        arguments: What follows ``exp`` on the command line.

    Raises:
        ConfigError: A choice or option is wrong.
        CellFailed: A cell has not ended well and a sweeper does not go on.
    """
    import hydra

    from exp.options.compose import in_one_line, register, version_base
    from exp.run import exit_code
    from exp.run.foreground import under_hydra

    completed = with_choices_of_checkpoint(arguments)
    if note := told(arguments, completed):
        print(note, flush=True)
    flags = Flags.read(completed)
    flags.refuse()
    words = _table_to_sweeper(flags)
    arguments = [*flags.flags, *(one_choice(word, words, flags.multirun) for word in words)]
    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    exit_code.code = 0
    try:
        with _argv(arguments):
            hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(under_hydra)()
    except (CellFailed, ConfigError, DataError):
        raise
    except Exception as error:
        if _raised_by_hydra(error):
            raise ConfigError(in_one_line(error, flags.words, flags.name, flags.folders)) from error
        raise
    return exit_code.code


def _raised_by_hydra(error: Exception) -> bool:
    """Whether it was raised while Hydra composed, not by code of ours, a task or a plug-in that Hydra called."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    return modules[-1].startswith(("hydra.", "omegaconf.")) or not any(name.startswith(OURS) for name in modules)


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    """Puts other arguments where Hydra looks for them."""
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


def _table_to_sweeper(flags: Flags) -> list[str]:
    """Gives ``table=NAME`` to the sweeper; a table is many cells, so it needs ``--multirun``."""
    tables = [word.partition("=")[2] for word in flags.words if word.startswith("table=")]
    if not tables:
        return flags.words
    if not flags.multirun:
        raise ConfigError(f"table={tables[0]}: a table is many cells; add --multirun, or exp table {tables[0]} --run")
    first = next(place for place, word in enumerate(flags.words) if word.startswith("table="))
    rest = [word for word in flags.words if not word.startswith("table=")]
    return [*rest[:first], f"{SWEEPER_TABLE}'{','.join(tables)}'", *rest[first:]]


def one_choice(word: str, words: list[str], multirun: bool) -> str:
    """Returns ``att.reduction=8`` as a list of one choice where a sweep varies att, or a table decides about it.

    Hydra composes a sweep's base without what is varied, so that an option of a varied part would be unknown to it.
    """
    key, _, value = word.partition("=")
    part = key.partition(".")[0]
    sets = (f"{part}=", SWEEPER_TABLE) if part in ("task", "model", "att", "data") else f"{part}="
    varied = multirun and any(other.startswith(sets) for other in words)
    listed = "," in value or value.startswith(("choice(", "range(", "sort(", "shuffle(", "glob("))
    return f"{key}=choice({value})" if varied and "." in key and not listed else word

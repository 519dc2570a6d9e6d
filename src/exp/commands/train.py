"""What words without a verb mean: Hydra composes one cell or a sweep, and it runs. Loads no torch by itself."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exp.options.errors import CellFailed, ConfigError
from exp.run.from_cell import told, with_choices_of_checkpoint

SWEEPER_TABLE = "hydra.sweeper.table="


def train(arguments: list[str]) -> int:
    """Runs a cell or a sweep under Hydra and returns the exit code.

    Args:
        arguments: What follows ``exp`` on the command line.

    Raises:
        ConfigError: A choice or option is wrong.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from exp.options.compose import conf_dir, in_one_line, register, version_base
    from exp.run import exit_code
    from exp.run.foreground import under_hydra

    completed = with_choices_of_checkpoint(arguments)
    if note := told(arguments, completed):
        print(note, flush=True)
    arguments = _table_to_sweeper(completed)
    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with _argv([one_choice(word, arguments) for word in arguments]):
            hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(under_hydra)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(in_one_line(error)) from error
    except CellFailed as error:
        print(f"exp: {error}", file=sys.stderr)
        return 1
    return exit_code.code


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    """Puts other arguments where Hydra looks for them."""
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


def _table_to_sweeper(arguments: list[str]) -> list[str]:
    """Gives ``table=NAME`` to the sweeper; a table is many cells, so it needs ``--multirun``."""
    tables = [word.partition("=")[2] for word in arguments if word.startswith("table=")]
    if not tables:
        return arguments
    if not {"-m", "--multirun"} & set(arguments):
        raise ConfigError(f"table={tables[0]}: a table is many cells; add --multirun, or exp table {tables[0]} --run")
    first = next(place for place, word in enumerate(arguments) if word.startswith("table="))
    rest = [word for word in arguments if not word.startswith("table=")]
    return [*rest[:first], f"{SWEEPER_TABLE}'{','.join(tables)}'", *rest[first:]]


def one_choice(word: str, arguments: list[str]) -> str:
    """Returns ``att.reduction=8`` as a list of one choice where a sweep varies att, or a table decides about it.

    Hydra composes a sweep's base without what is varied, so that an option of a varied part would be unknown to it.
    """
    key, _, value = word.partition("=")
    part = key.partition(".")[0]
    sets = (f"{part}=", SWEEPER_TABLE) if part in ("task", "model", "att", "data") else f"{part}="
    varied = {"--multirun", "-m"} & set(arguments) and any(other.startswith(sets) for other in arguments)
    listed = "," in value or value.startswith(("choice(", "range(", "sort(", "shuffle(", "glob("))
    return f"{key}=choice({value})" if varied and "." in key and not listed else word

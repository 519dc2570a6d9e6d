"""``python -m exp`` and ``exp``: compose, check, run or hand over. Imports no torch unless a cell trains here."""

import os
import sys

from exp.errors import CellFailed, ConfigError, DataError
from exp.terminal import remember_typed

SWEEPER_TABLE = "hydra.sweeper.table="


def main() -> None:
    """Runs the command line and exits with 0 (done), 1 (a cell failed), 2 (cannot stand) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The command line's exit code."""
    if {"-h", "--help"} & set(arguments):
        from exp.help import print_help

        print_help()
        return 0
    speed_up()
    remember_typed(arguments)
    try:
        arguments = _table_to_sweeper(arguments)
        return _hydra(arguments)
    except (ConfigError, DataError) as error:
        print(f"exp: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _table_to_sweeper(arguments: list[str]) -> list[str]:
    """``table=NAME`` is the sweeper's: a table is many cells, so without ``--multirun`` it cannot stand."""
    tables = [word.partition("=")[2] for word in arguments if word.startswith("table=")]
    if not tables:
        return arguments
    if not {"-m", "--multirun"} & set(arguments):
        raise ConfigError(
            f"table={tables[0]}: a table is many cells; add --multirun, or python -m exp.table {tables[0]} --run"
        )
    first = next(place for place, word in enumerate(arguments) if word.startswith("table="))
    rest = [word for word in arguments if not word.startswith("table=")]
    return [*rest[:first], f"{SWEEPER_TABLE}'{','.join(tables)}'", *rest[first:]]


def speed_up() -> None:
    """Settings that have to stand before torch is loaded: large pages, and threads that sleep while they wait.

    Spinning threads make two runs on the same cores many times slower; large pages spare CPU runs a third of their time
    where tensors exceed 32 MB.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _hydra(arguments: list[str]) -> int:
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from exp import outcome
    from exp.config.compose import conf_dir, in_one_line, register, resolved, version_base
    from exp.job import under_hydra

    if "--cfg=job" in arguments or ("job" in arguments and {"--cfg", "-c"} & set(arguments)):
        overrides = [word for word in arguments if "=" in word and not word.startswith("-")]
        print_config(resolved(overrides))
        return 0
    register()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [sys.argv[0], *(one_choice(word, arguments) for word in arguments)]
    try:
        hydra.main(config_path=str(conf_dir()), config_name="config", **version_base())(under_hydra)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(in_one_line(error)) from error
    except CellFailed as error:
        print(f"exp: {error}", file=sys.stderr)
        return 1
    return outcome.code


def one_choice(word: str, arguments: list[str]) -> str:
    """``att.reduction=8`` as a list of one choice where a sweep varies att, or a table says what stands for it.

    Hydra composes a sweep's base without what is varied, so that an option of a varied part would be unknown to it.
    """
    key, _, value = word.partition("=")
    part = key.partition(".")[0]
    sets = (f"{part}=", SWEEPER_TABLE) if part in ("task", "model", "att", "data") else f"{part}="
    varied = {"--multirun", "-m"} & set(arguments) and any(other.startswith(sets) for other in arguments)
    listed = "," in value or value.startswith(("choice(", "range(", "sort(", "shuffle(", "glob("))
    return f"{key}=choice({value})" if varied and "." in key and not listed else word


def print_config(cell: object) -> None:
    """Prints a cell's effective options as YAML, with the directory it has."""
    from omegaconf import OmegaConf

    from exp.cell import Cell
    from exp.config.resolve import Resolved

    assert isinstance(cell, Resolved)
    print(f"# {Cell(cell).path}")
    print(OmegaConf.to_yaml(OmegaConf.create(cell.config)), end="")


if __name__ == "__main__":
    main()

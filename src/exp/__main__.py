"""``python -m exp`` and ``exp``: compose, check, run or hand over. Imports no torch unless a cell trains here."""

import os
import sys

from exp.config import ConfigError


def main() -> None:
    """Runs the command line and exits with 0 (done), 1 (a cell failed), 2 (cannot stand) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The command line's exit code."""
    if {"-h", "--help"} & set(arguments):
        from exp.help import print_help

        print_help()
        return 0
    from exp.data.source import DataError

    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        return _hydra(arguments)
    except (ConfigError, DataError) as error:
        print(f"exp: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


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
    try:
        hydra.main(version_base=version_base(), config_path=str(conf_dir()), config_name="config")(under_hydra)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(in_one_line(error)) from error
    return outcome.code


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

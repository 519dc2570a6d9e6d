"""``exp --cfg job ...``: what would run, every option with its value."""

import argparse

from exp.cells.cell import Cell
from exp.commands.front import add_composition, resolved_by


def print_configuration(arguments: list[str]) -> int:
    """Prints a cell's options as YAML, with the directory it has, and returns the exit code.

    Raises:
        ConfigError: A choice or option is wrong.
    """
    from omegaconf import OmegaConf

    parser = argparse.ArgumentParser(prog="exp", add_help=False)
    add_composition(parser)
    options, words = parser.parse_known_args(arguments)
    resolved = resolved_by(options, [word for word in words if "=" in word and not word.startswith("-")])
    print(f"# {Cell.of(resolved).path}")
    print(OmegaConf.to_yaml(OmegaConf.create(resolved.config.plain())), end="")
    return 0

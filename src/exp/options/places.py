"""Options of Hydra that would move what Hydra writes: a cell's folder is made under its lock, by the cell."""

from typing import Any

from exp.options.errors import ConfigError

PLACES = {
    "run.dir": (".", "cells lie below cells.dir; give that"),
    "sweep.dir": ("multirun", "cells lie below cells.dir; give that"),
    "sweep.subdir": (".", "a cell's folder is named after its choices; leave it out"),
    "output_subdir": (None, "a cell keeps its choices in config.json; leave it out"),
    "job.chdir": (False, "a cell runs in the folder where the command was given; leave it out"),
}
"""What each is and why it stays so, by its name below ``hydra``."""


def refuse_moved(hydra: Any) -> None:
    """Refuses a composed configuration that moves what Hydra writes.

    Args:
        hydra: The part ``hydra`` of the configuration.

    Raises:
        ConfigError: One of ``PLACES`` is not as it is here.
    """
    for name, (usual, why) in PLACES.items():
        node = hydra
        for key in name.split("."):
            node = node[key]
        if node != usual:
            raise ConfigError(f"hydra.{name}={node}: {why}")

"""Where the YAML lies: that which ships with exp, and that of plug-ins."""

from pathlib import Path

from exp.options.plugins import conf_folders

PACKAGE = Path(__file__).parents[1]
"""The folder of exp's own code."""


def conf_dir() -> Path:
    """The YAML that ships with the package, or the checkout's own."""
    shipped = PACKAGE / "conf"
    return shipped if shipped.is_dir() else PACKAGE.parents[1] / "conf"


def conf_dirs() -> list[Path]:
    """Returns all folders of YAML: the one that ships, and those of plug-ins."""
    return [conf_dir(), *conf_folders()]

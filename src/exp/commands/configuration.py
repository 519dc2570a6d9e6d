"""``exp --cfg job ...``: what would run, every option with its value; ``--multirun`` shows every cell."""

from typing import Any

from exp.cells.cell import Cell
from exp.commands.flags import Flags
from exp.options.compose import Composition, in_our_words, searching
from exp.options.errors import ConfigError
from exp.options.resolve import Resolved, resolve
from exp.options.spelling import suggestion


def wanted(arguments: list[str]) -> bool:
    """Whether a command line asks for the options of a cell, with the values that they would have."""
    given = Flags.read([word for word in arguments if word not in ("--multirun", "-m")]).given
    return given.cfg in ("job", "all") or given.info == "config"


def print_configuration(arguments: list[str]) -> int:
    """Prints a cell's options as YAML, with the directory it has, and returns the exit code.

    Raises:
        ConfigError: A choice or option is wrong.
    """
    from omegaconf import OmegaConf

    flags = Flags.read([word for word in arguments if word not in ("--multirun", "-m")])
    sweep = bool({"--multirun", "-m"} & set(arguments)) or "hydra.mode=MULTIRUN" in flags.words
    flags.refuse(sweep=sweep)
    words, compose = composition(flags)
    if any(word.startswith("table=") for word in words):
        raise ConfigError("table=: exp table NAME shows the cells of a table")
    cells = _cells(words, compose, sweep=sweep) if sweep or flags.name != "config" else [words]
    for number, one in enumerate(cells):
        resolved = resolve(compose(one), one)
        plain: Any = _package(resolved, flags.given.package)
        print("---\n" * (number > 0) + f"# {Cell.of(resolved).path}")
        text = OmegaConf.to_yaml(OmegaConf.create(plain)) if isinstance(plain, dict) else f"{plain}\n"
        print(text, end="")
    if flags.given.cfg == "all":
        print(_of_hydra(words if not sweep else [], compose), end="")
    return 0


def composition(flags: Flags) -> tuple[list[str], Composition]:
    """Returns the overrides of cells, and how they are composed.

    Raises:
        ConfigError: A folder of configuration is not there.
    """
    words, further = flags.searched()
    return words, Composition(flags.name, (*further, *flags.folders))


def _package(resolved: Resolved, package: str | None) -> Any:
    """Returns the part of a cell's options that ``--package`` names.

    Raises:
        ConfigError: There is no such part.
    """
    node: Any = resolved.config.plain()
    if package in (None, "_global_"):
        return node
    for key in str(package).split("."):
        if not isinstance(node, dict) or key not in node:
            raise ConfigError(f"--package {package}: no such part or option{suggestion(str(package))}")
        node = node[key]
    return node


def _cells(words: list[str], compose: Composition, *, sweep: bool) -> list[list[str]]:
    """Returns the overrides of every cell; of one alone where neither flags nor configuration make it a sweep."""
    from hydra import compose as hydra_compose
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from exp.sweep.hydra import base_of, combinations

    with searching(compose.folders), in_our_words(words, compose.name, compose.folders):
        config = hydra_compose(compose.name, base_of(words), return_hydra_config=True)
        if not sweep and config.hydra.mode != RunMode.MULTIRUN:
            return [words]
        params = config.hydra.sweeper.get("params") or {}
        return combinations(words, params, config.sweep.cells, GlobalHydra.instance().config_loader())


def _of_hydra(words: list[str], compose: Composition) -> str:
    """Returns Hydra's own options as YAML."""
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    with searching(compose.folders), in_our_words(words, compose.name, compose.folders):
        config = hydra_compose(compose.name, words, return_hydra_config=True)
        own = OmegaConf.masked_copy(config, ["hydra"])
        del own.hydra.hydra_help, own.hydra.help
        return OmegaConf.to_yaml(own)

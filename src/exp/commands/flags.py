"""Hydra's own flags on a command line, read before Hydra reads them, so that a slip is one line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from exp.cells.terminal import laid_out
from exp.options.errors import ConfigError
from exp.options.places import PLACES
from exp.options.words import check, expanded, value_of

SEARCHPATH = "hydra.searchpath="


class LineParser(argparse.ArgumentParser):
    """A parser of flags whose complaint is one line, with the flag that was likely meant.

    Attributes:
        typed: The words that it is given.
    """

    typed: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Raises the complaint.

        Raises:
            ConfigError: Always.
        """
        complain(self, message, self.typed)


class OnTerminal(argparse.RawDescriptionHelpFormatter):
    """Help whose words are broken where the terminal ends."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return laid_out(text, width)


def complain(parser: argparse.ArgumentParser, message: str, typed: Sequence[str]) -> NoReturn:
    """Raises what a parser complains of in one line.

    Args:
        parser: The parser.
        message: Its complaint.
        typed: The command line.

    Raises:
        ConfigError: Always.
    """
    from exp.commands.meant import meant_by_flag

    known = [word for action in parser._actions for word in action.option_strings]
    _, colon, words = message.partition("unrecognized arguments: ")
    if colon:
        given = words.split(" ")[0]
        if not given.startswith("-"):
            raise ConfigError(f"{words}: not expected here")
        raise ConfigError(f"{given}: no such flag{meant_by_flag(given, known, typed)}")
    _, colon, missing = message.partition("the following arguments are required: ")
    if colon:
        names = [_needed(action) for action in parser._actions if _called(action) in missing.split(", ")]
        raise ConfigError(f"needs {' and '.join(filter(None, names))}; {parser.prog} --help says more")
    raise ConfigError(message.removeprefix("argument "))


def _called(action: argparse.Action) -> str:
    """Returns what a parser calls an argument."""
    return "/".join(action.option_strings) or str(action.metavar or action.dest)


def _needed(action: argparse.Action) -> str:
    """Returns how an argument is given; nothing for one that may be left out."""
    if action.nargs in ("*", "?"):
        return ""
    value = "|".join(map(str, action.choices or ())) or action.metavar or action.dest.upper()
    times = action.nargs if isinstance(action.nargs, int) else 1
    return " ".join([*action.option_strings[:1], *[str(value)] * times])


@dataclass(frozen=True)
class Flags:
    """A command line without a verb, sorted.

    Attributes:
        flags: The words that are Hydra's flags, with what belongs to them.
        words: The overrides, with ``~/`` at the beginning of a value replaced by the home directory.
        given: What the flags say.
    """

    flags: list[str]
    words: list[str]
    given: Any = field(repr=False)

    @classmethod
    def read(cls, arguments: list[str]) -> "Flags":
        """Sorts a command line.

        Raises:
            ConfigError: A flag is unknown or lacks what belongs to it.
        """
        from hydra._internal.utils import get_args_parser

        parser = get_args_parser()
        parser.error = lambda message: complain(parser, message, arguments)  # type: ignore[method-assign]
        given = parser.parse_intermixed_args(arguments)
        flags = list(arguments)
        for word in reversed(given.overrides):
            del flags[len(flags) - 1 - flags[::-1].index(word)]
        return cls([word for word in flags if word != "--"], expanded(given.overrides), given)

    @property
    def multirun(self) -> bool:
        """Whether it is a sweep, as far as the command line says."""
        return bool(self.given.multirun) or "hydra.mode=MULTIRUN" in self.words

    @property
    def name(self) -> str:
        """The configuration to start from."""
        return str(self.given.config_name or "config").removesuffix(".yaml")

    @property
    def folders(self) -> tuple[str, ...]:
        """Further folders of configuration, absolute."""
        return (str(Path(self.given.config_dir).absolute()),) if self.given.config_dir else ()

    def searched(self) -> tuple[list[str], tuple[str, ...]]:
        """Returns the overrides without ``hydra.searchpath``, and the folders that it names, absolute.

        Raises:
            ConfigError: One of the folders is not there.
        """
        own, folders = [], []
        for word in self.words:
            if word.lstrip("+").startswith(SEARCHPATH):
                folders += searched(word)
            else:
                own.append(word)
        return own, tuple(folders)

    def refuse(self, *, sweep: bool = False) -> None:
        """Refuses what cannot work, before Hydra composes anything.

        Args:
            sweep: Whether a word may list several values although the flags do not say so.

        Raises:
            ConfigError: A word is malformed or moves what Hydra writes, or a folder is not there.
        """
        if self.given.shell_completion or self.given.hydra_help:
            return
        if self.given.experimental_rerun:
            raise ConfigError("--experimental-rerun: a cell runs again by its own command with sweep.force=done")
        if self.given.config_path:
            raise ConfigError("--config-path: exp's own configuration is needed; add yours with --config-dir")
        if self.given.config_dir and not Path(self.given.config_dir).is_dir():
            raise ConfigError(f"--config-dir {self.given.config_dir}: no such folder of configuration")
        asked = [flag for flag in ("run", "multirun", "cfg", "info") if getattr(self.given, flag)]
        if len(asked) > 1:
            raise ConfigError(f"{' and '.join(f'--{flag}' for flag in asked)}: give one of them")
        # A configuration of the user's own may say that it is a sweep, so Hydra decides there.
        check(self.words, sweep=sweep or self.multirun or self.name != "config")
        for word in self.words:
            name = word.partition("=")[0].lstrip("+").removeprefix("hydra.")
            if word.lstrip("+").startswith("hydra.") and name in PLACES and value_of(word) != PLACES[name][0]:
                raise ConfigError(f"{word}: {PLACES[name][1]}")


def searched(word: str) -> list[str]:
    """Returns the folders that ``hydra.searchpath=[file://...]`` names, absolute.

    Raises:
        ConfigError: One of them is not there, or it is of another form.
    """
    value = value_of(word)
    if not isinstance(value, (list, str)) or not all(isinstance(folder, str) for folder in value):
        raise ConfigError(f"{word}: expected a list of folders, such as hydra.searchpath=[file:///home/me/conf]")
    found = []
    for folder in [value] if isinstance(value, str) else value:
        path = Path(folder.removeprefix("file://")).expanduser().absolute()
        if not path.is_dir():
            raise ConfigError(f"{word}: {folder}: no such folder of configuration")
        found.append(str(path))
    return found

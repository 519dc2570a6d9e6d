"""What all verbs share: finding the verb, its parser, its exit code, overrides and formats."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.commands import VERBS
from exp.commands.flags import SEARCHPATH, LineParser, OnTerminal, searched
from exp.options.errors import CellFailed, ConfigError, DataError, brief, place, shown
from exp.options.words import expanded, refuse_joined

if TYPE_CHECKING:
    from exp.options.compose import Composition
    from exp.options.resolve import Resolved


def run_verb(verb: str, words: list[str]) -> int:
    """Runs ``exp VERB WORDS`` and returns its exit code.

    Raises:
        ConfigError: There is no such verb.
    """
    if verb not in VERBS:
        from exp.commands.meant import meant_by_verb

        raise ConfigError(meant_by_verb(verb, words))
    module = importlib.import_module(f"exp.commands.{verb}")
    parser = LineParser(
        prog=f"exp {verb}",
        description=(module.__doc__ or "").partition("\n\n")[2].strip() or VERBS[verb],
        formatter_class=OnTerminal,
    )
    parser.typed = words
    module.arguments(parser)
    passes_on = getattr(module, "PASSES_ON", False) and words[:1] not in (["-h"], ["--help"])
    try:
        options = argparse.Namespace(words=words) if passes_on else parser.parse_intermixed_args(words)
        return int(module.run(options))
    except SystemExit as end:  # how argparse ends, after help or an error of its own
        return int(end.code or 0)
    except (ConfigError, DataError) as error:
        print(f"exp {verb}: {shown(error)}", file=sys.stderr)
        return 2
    except CellFailed:
        raise
    except Exception as error:
        if not place(error):  # then it is no code of the user's that is wrong
            raise
        print(f"exp {verb}: {shown(CellFailed(brief(error)))}", file=sys.stderr)
        return 1


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """Adds ``--format``, whose first choice is the default; ``text`` and ``json`` where none are given."""
    known = formats or ("text", "json")
    parser.add_argument("--format", choices=known, default=known[0], help=f"how to print it ({known[0]} if not given)")


def show(value: Any, text: str, form: str) -> None:
    """Prints ``value`` as JSON or its text form, as ``--format`` says."""
    print(json.dumps(value, indent=2) if form == "json" else text)


def add_overrides(parser: argparse.ArgumentParser, meaning: str = "choices and options, as of a cell") -> None:
    """Adds the words that choose and set options."""
    parser.add_argument("overrides", nargs="*", metavar="OPTION=VALUE", help=meaning)


def add_composition(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments by which Hydra is told where configuration lies."""
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a further folder of configuration")
    parser.add_argument(
        "--config-name", "-cn", metavar="NAME", default="config", help="the configuration to start from"
    )


def composition(options: argparse.Namespace, overrides: list[str]) -> tuple[list[str], "Composition"]:
    """Returns the overrides of cells, and how to compose them with the folders and name that the command line gives.

    Raises:
        ConfigError: There is no such folder.
    """
    from exp.options.compose import Composition

    own, folders = further_folders(options, overrides)
    return own, Composition(options.config_name, folders)


def further_folders(options: argparse.Namespace, overrides: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Returns the overrides of cells, and the further folders of configuration that the command line gives.

    Raises:
        ConfigError: There is no such folder, or one word holds several overrides.
    """
    refuse_joined(overrides)
    folders = [folder for word in overrides if word.startswith(SEARCHPATH) for folder in searched(word)]
    if options.config_dir:
        path = Path(options.config_dir).expanduser().absolute()
        if not path.is_dir():
            raise ConfigError(f"{options.config_dir}: no such folder of configuration")
        folders.append(str(path))
    own = [word for word in expanded(overrides) if not word.startswith(SEARCHPATH)]
    return own, tuple(folders)


def resolved_by(options: argparse.Namespace, overrides: list[str]) -> "Resolved":
    """Returns the cell that a command line describes.

    Raises:
        ConfigError: See ``composed`` and ``resolve``.
    """
    from exp.options.resolve import resolve

    overrides, compose = composition(options, overrides)
    return resolve(compose(overrides), overrides)

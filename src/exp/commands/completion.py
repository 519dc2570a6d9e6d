"""Tab completion: Hydra completes choices and options, this the verbs and what follows them."""

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable

from exp.commands import VERBS
from exp.commands.flags import LineParser
from exp.commands.list import known_groups
from exp.commands.score import scores
from exp.options.compose import YAML_GROUPS, choices_of
from exp.options.errors import ConfigError, DataError
from exp.tables.reading import names, own_names

LINE = "COMP_LINE"
"""Variable in which a shell gives what was typed so far."""
CALL = re.compile(r"\s*(\S*python\S*\s+(-m\s+)?)?\S+\s+")
"""How a command line begins, in front of its words."""


def complete(arguments: list[str], hydra: Callable[[list[str]], int]) -> int:
    """Prints what may come next, and returns the exit code.

    A shell shows whatever is written to either stream in the midst of the line being typed, so complaints are dropped.

    Args:
        arguments: What follows ``exp`` on the command line by which the shell asks.
        hydra: Completes choices and options, and prints the shell's set-up.
    """
    typed = os.environ.get(LINE)
    if typed is None or not any(word.startswith("query=") for word in arguments):
        return hydra(arguments)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(ConfigError, DataError):
        begin, words, last = _split(typed)
        if not words or words[0] not in VERBS:
            _offer(VERBS if not words else (), last)
            return hydra(arguments)
        if _offered_of_verb(words[0], words[1:], last):
            overrides = [word for word in words if "=" in word]
            os.environ[LINE] = begin + " ".join([*overrides, last])
            hydra(arguments)
    return 0


def _offered_of_verb(verb: str, before: list[str], last: str) -> bool:
    """Prints what may follow a verb and the words after it; returns whether an override may follow, too."""
    parser = LineParser(prog=f"exp {verb}")
    importlib.import_module(f"exp.commands.{verb}").arguments(parser)
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    asking = flags.get(before[-1]) if before else None
    if asking is not None and asking.nargs != 0:
        _offer(map(str, asking.choices or ()), last)
        return False
    if last.startswith("-"):
        _offer(flags, last)
        return False
    _offer(_named(verb, parser, [word for word in before if "=" not in word and word not in flags]), last)
    return any("=VALUE" in str(action.metavar) for action in parser._actions)


def _split(typed: str) -> tuple[str, list[str], str]:
    """Returns how a line begins, its whole words, and the one that is being typed."""
    called = CALL.match(typed)
    begin = called.group() if called else ""
    *words, last = [*typed[len(begin) :].split(), *([""] if typed[-1:].isspace() else [])] or [""]
    return begin, words, last


def _named(verb: str, parser: argparse.ArgumentParser, given: list[str]) -> Iterable[str]:
    """Returns the names that a verb may be given next, after those that it has been given."""
    if verb == "list":
        return _of_groups(given)
    if given:
        return ()
    if verb in ("table", "export", "dashboard"):
        return [*names(), *own_names(), *(["new"] if verb == "table" else [])]
    if verb == "data":
        return choices_of("data")
    if verb == "score":
        return list(scores())
    return [str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()]


def _of_groups(named: list[str]) -> Iterable[str]:
    if not named:
        return known_groups()
    return choices_of(named[0]) if len(named) == 1 and named[0] in YAML_GROUPS else ()


def _offer(words: Iterable[str], last: str) -> None:
    """Prints the words that go on from what was typed."""
    found = [word for word in words if word.startswith(last)]
    if found:
        print("\n".join(found))
        sys.stdout.flush()

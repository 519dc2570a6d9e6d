"""Words of a command line: what each means, and what is wrong with one, said in our own words.

Hydra's grammar decides what a word means; it has special characters, which are named here with the form that is
quoted for the shell and for the grammar. Loads Hydra when the first word is read.
"""

import functools
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from exp.options.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

CHOSEN = ("task", "recipe", "model", "att", "data", "trainer", "callbacks", "logger")
"""Groups in the order in which they are shown: each is given a choice's name."""

HAVE_NONE = ("att", "callbacks", "logger")
"""Groups with a choice called none."""

PLAIN = re.compile(r"[\w/\-\\+.$%*@?|: ]", re.ASCII)
"""Characters that Hydra's grammar takes in a value without quotes."""

FUNCTIONS = ("choice", "range", "glob", "sort", "shuffle", "interval", "tag", "int", "float", "str", "bool", "json_str")
"""What Hydra's grammar calls with parentheses behind it."""

JOINED = re.compile(r"[+~]*[A-Za-z_][\w./@-]*=[^\s'\"{\[]*(\s+[+~]*[A-Za-z_][\w./@-]*=\S*)+", re.ASCII)
"""Several overrides in one word, which a shell makes of them in one pair of quotes."""

NAMES = {"\r": "a carriage return (a Windows line end)", "\n": "a line break", "\t": "a tab", "\0": "a null character"}


@functools.cache
def parsed(word: str) -> "Override":
    """Returns what an override means.

    Raises:
        ConfigError: Hydra's grammar does not allow it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for character in NAMES:
        if character in word:
            raise ConfigError(f"{word!r}: holds {NAMES[character]}; leave it out")
    refuse_joined([word])
    try:
        return OverridesParser.create().parse_override(word)
    except (HydraException, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(_malformed(word)) from error


def expanded(words: Iterable[str]) -> list[str]:
    """Returns the words with a ``~/`` that begins a value replaced by the home directory, as a shell does elsewhere."""
    return [_expanded(word) for word in words]


def _expanded(word: str) -> str:
    key, sign, value = word.partition("=")
    if not sign or not value.startswith("~"):
        return word
    return f"{key}={','.join(map(os.path.expanduser, value.split(',')))}"


def refuse_joined(words: Iterable[str]) -> None:
    """Refuses several overrides in one word, which no value is that Hydra's grammar knows.

    Raises:
        ConfigError: A word is so.
    """
    for word in words:
        if JOINED.fullmatch(word):
            apart = " ".join(map(shell, word.split()))
            raise ConfigError(f"{shell(word)}: several overrides in one word; leave the quotes out: {apart}")


def check(words: Iterable[str], *, sweep: bool = False) -> None:
    """Refuses words that mean nothing in any run, before anything is composed.

    Args:
        words: Overrides.
        sweep: Whether a word may list several values.

    Raises:
        ConfigError: A word is malformed, lists values outside a sweep, takes an option away, or gives a group
            something else than a choice's name.
    """
    for word in words:
        override = parsed(word)
        key = override.key_or_group
        if not key:
            raise ConfigError(f"{word}: there is no name before the =; write OPTION=VALUE")
        if key == "hydra":
            raise ConfigError(f"{word}: has options, not a value; give hydra.OPTION=VALUE")
        if override.is_delete():
            _refuse_removal(word, key)
        if key in CHOSEN and (override.is_add() or override.is_force_add()):
            raise ConfigError(f"{word}: every run has one {key}; leave the + out")
        if override.package is not None and key in CHOSEN:
            raise ConfigError(f"{word}: a run has one {key}, so it has no other place; write {key}=NAME")
        if override.package is not None and "/" not in key and not override.is_add():
            raise ConfigError(f"{word}: an option has one place; write {key}=VALUE")
        if override.is_sweep_override() and not sweep:
            raise ConfigError(_several(word, key))
        if key in CHOSEN or "/" in key:
            _refuse_no_name(word, key, override)


def _refuse_removal(word: str, key: str) -> None:
    if key in HAVE_NONE:
        raise ConfigError(f"{word}: every run has one {key}; for none give {key}=none")
    if key in CHOSEN:
        raise ConfigError(f"{word}: every run has one {key}; give {key}=NAME")
    if not key.startswith("hydra"):
        raise ConfigError(f"{word}: an option cannot be taken away; leave the word out, then it has its default")


def _several(word: str, key: str) -> str:
    text = word.partition("=")[2]
    listed = ""
    if key not in CHOSEN and "," in text and not text.startswith(("choice(", "range(", "glob(", "sort(", "shuffle(")):
        listed = f" (one list is written [{text}], one text with a comma {_as_text(word)})"
    return f"{word}: several values; add --multirun to run a cell for each{listed}"


def _refuse_no_name(word: str, key: str, override: "Override") -> None:
    """Refuses a group that is given a number, nothing, a list or a mapping; Hydra merges a list of choices."""
    for value in _values(override):
        if isinstance(value, str) and value not in ("", "???"):
            continue
        if key in HAVE_NONE and (value is None or value is False or value == []):
            raise ConfigError(f"{word}: not the name of a choice; for none give {key}=none")
        if isinstance(value, list):
            names = [str(one) for one in value if isinstance(one, str)] or ["NAME"]
            if key == "logger":
                raise ConfigError(f"{word}: join several loggers by +: logger={'+'.join(names)}")
            several = f", or --multirun {key}={','.join(names)} for a cell each" if len(names) > 1 else ""
            raise ConfigError(f"{word}: a run has one {key}; give {key}={names[0]}{several}")
        where = f"; exp list {key} has them" if key in CHOSEN else ""
        raise ConfigError(f"{word}: not the name of a choice{where}")


def _values(override: "Override") -> Iterator[Any]:
    if override.is_delete():
        return
    if not override.is_sweep_override():
        yield override.value()
    elif override.is_choice_sweep() and isinstance(getattr(override.value(), "list", None), list):
        yield from override.sweep_iterator()


def _malformed(word: str) -> str:
    """Returns why a word is not well-formed and how it would be."""
    key, sign, value = word.partition("=")
    name = re.sub(r"^[+~]+", "", key)
    odd = next((character for character in name if not re.match(r"[\w\-$./@:]", character, re.ASCII)), "")
    if odd:
        return f"{word}: {_named(odd)} cannot be part of an option's name; write OPTION=VALUE"
    if not sign:
        return f"{word}: expected OPTION=VALUE"
    if not re.fullmatch(r"[A-Za-z_$][\w\-$]*([./@:]+[\w\-$]+)*", name, re.ASCII):
        return f"{word}: {key or 'nothing'} is no option's name; write OPTION=VALUE"
    odd = next((character for character in value if not PLAIN.match(character)), "")
    what = f"{_named(odd)} has a meaning of its own in Hydra's grammar" if odd else "is not complete"
    function = re.match(rf"({'|'.join(FUNCTIONS)})\(.*\)$", value)
    if function:
        what = f"{function[1]}(...) does not take this"
    elif odd in ("'", '"') and value.count(odd) % 2:
        what = f"a quote {odd} is opened and not closed"
    elif odd and ord(odd) > 126:
        what = f"{_named(odd)} has to be in quotes in Hydra's grammar"
    return f"{word}: {what}; as a text it is written {_as_text(word)}"


def _as_text(word: str) -> str:
    """Returns a word whose value is taken as a text, as it is typed in a shell."""
    key, _, value = word.partition("=")
    single = '"' in value
    return shell(f"{key}={quoted(value, double=not single)}")


def _named(character: str) -> str:
    if character == " ":
        return "a blank"
    return NAMES.get(character) or (character if character.isprintable() else f"the character {character!r}")


def quoted(text: str, *, double: bool = False) -> str:
    """Returns a text in quotes as Hydra's grammar reads it."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.double if double else Quote.single).with_quotes()


def shell(word: str) -> str:
    """Returns a word as it is typed in a shell, in the quotes that it does not hold itself."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


@functools.cache
def _spelt_text(text: str) -> str:
    """Returns a text as it is where the grammar reads it as this text, else in quotes."""
    plain = bool(text) and text == text.strip() and all(map(PLAIN.match, text)) and "${" not in text
    if plain and "\\" not in text:
        try:
            override = parsed(f"x={text}")
            if not override.is_sweep_override() and override.value() == text:
                return text
        except ConfigError:
            pass
    return quoted(text)


def spelt(value: Any) -> str:
    """Returns a value as Hydra's command line takes it, so that what it reads is the value as given."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(spelt, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_spelt_key(key)}:{spelt(one)}" for key, one in value.items()) + "}"
    return str(value) if isinstance(value, (int, float)) else _spelt_text(str(value))


def _spelt_key(key: Any) -> str:
    """Returns a mapping's key; the grammar knows no quotes there, but a backslash before a special character."""
    return re.sub(r"([\\()\[\]{}:=, ])", r"\\\1", str(key))


def value_of(word: str) -> Any:
    """Returns the value that an override gives; a text that the grammar does not read is taken as it is.

    Use it where a word is only looked at, such as for the folder that ``cells.dir=`` names.
    """
    try:
        override = parsed(word)
    except ConfigError:
        return word.partition("=")[2]
    return word.partition("=")[2] if override.is_sweep_override() or override.is_delete() else override.value()

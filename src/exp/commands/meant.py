"""What a word in the wrong place was likely meant to be, and how it is written here."""

from collections.abc import Sequence

from exp.cells.terminal import pasted
from exp.commands import VERBS
from exp.options.catalog import GROUPS, SECTIONS
from exp.options.compose import YAML_GROUPS, choices_of
from exp.options.errors import nearest
from exp.options.fields import fields
from exp.options.spelling import FAMILIAR
from exp.options.words import CHOSEN
from exp.tables.reading import names, own_names

NO_VERBS = {
    **dict.fromkeys(("train", "fit", "run"), "training needs no verb: exp {words}"),
    **dict.fromkeys(("multirun", "sweep", "grid"), "a sweep is written with a flag: exp --multirun {words}"),
    **dict.fromkeys(
        ("test", "eval", "evaluate"), "a finished cell is tested again by exp ckpt=CELL trainer.max_epochs=0"
    ),
    "exp": "the command's name is needed once: exp {words}",
    **dict.fromkeys(("tables", "ls"), "exp table lists the tables, exp list what can be chosen"),
    **dict.fromkeys(("cells", "results"), "exp watch --once shows the cells, exp report what came out"),
}
"""What other programs have a verb for, and how it is done here."""

NO_GROUPS = {
    **dict.fromkeys(("table", "tables"), "exp table lists them"),
    **dict.fromkeys(("score", "scores"), "exp score --help lists them"),
    **dict.fromkeys(("cell", "cells"), "exp watch --once shows them"),
    **dict.fromkeys(("verb", "verbs"), "exp help lists them"),
}
"""What cannot be chosen and is listed elsewhere."""


def meant_by_verb(word: str, words: Sequence[str]) -> str:
    """Returns what is said of a first word that is no verb.

    Args:
        word: The first word.
        words: Those behind it.
    """
    if word in NO_VERBS:
        return f"{word}: {NO_VERBS[word].format(words=pasted(*words) if words else 'OPTION=VALUE ...')}"
    ways = [f"a table: exp table {word}"] if word in (*names(), *own_names()) else []
    ways += [f"a choice: exp {group}={word}" for group in YAML_GROUPS if word in choices_of(group)]
    ways += [as_option(word, words)] if word in CHOSEN or _is_option(word) else []
    if ways:
        return f"{word}: no verb; {'; '.join(ways)}"
    familiar = f"; here it is {FAMILIAR[word]}" if word in FAMILIAR else ""
    return f"{word}: no such verb; there are {', '.join(VERBS)}{familiar or nearest(word, VERBS)}"


def meant_by_flag(flag: str, known: Sequence[str], words: Sequence[str]) -> str:
    """Returns what a flag that there is not was likely meant to be, to be put behind a complaint; empty for no idea.

    Args:
        flag: As it was typed, perhaps with a value after an equals sign.
        known: The flags that there are.
        words: The command line.
    """
    name, _, value = flag.lstrip("-").partition("=")
    if name in VERBS and name not in CHOSEN:
        return f"; that is a verb: exp {name} ..."
    option = name.replace("-", "_")
    if option in CHOSEN or _is_option(option):
        behind = list(words)[list(words).index(flag) + 1 :] if flag in words else []
        return f"; {as_option(option, [value] if value else behind)}"
    familiar = f"; here it is {FAMILIAR[option]}" if option in FAMILIAR else ""
    return familiar or nearest(flag.partition("=")[0], known)


def as_option(name: str, words: Sequence[str]) -> str:
    """Returns how an option is written, with the value that follows its name where there is one."""
    what, value = ("a choice", "NAME") if name in CHOSEN else ("an option", "VALUE")
    given = words[0] if words and "=" not in words[0] and not words[0].startswith("-") else value
    return f"{what} is written {pasted(f'{name}={given}')}"


def _is_option(name: str) -> bool:
    """Whether options have this name, short or long."""
    part, dot, option = name.partition(".")
    if dot:
        schemas = [SECTIONS[part]] if part in SECTIONS else GROUPS.get(part, {}).values()
        return any(option in fields(schema) for schema in schemas)
    every = [*SECTIONS.values(), *(schema for group in GROUPS.values() for schema in group.values())]
    return name in ("seed", "ckpt") or any(name in fields(schema) for schema in every)

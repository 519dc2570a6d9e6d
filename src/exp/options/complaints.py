"""What Hydra, OmegaConf and YAML complain of, in one line of our own words: what, where, and what to do."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from exp.options.catalog import TASKS
from exp.options.errors import nearest
from exp.options.folders import conf_dir
from exp.options.plugins import active
from exp.options.spelling import FAMILIAR_CHOICES, unknown
from exp.options.words import CHOSEN

PLUGINS = {"submitit_slurm": ("slurm", "slurm"), "submitit_local": ("slurm_local", "slurm"), "ray": ("ray", "ray")}
"""Choices that Hydra's plugins bring, with the choice of ours that is made of each and the extra that installs it."""

Chosen = Callable[[], Mapping[str, str]]
"""Returns the choice of each part of the run, as far as it can be composed."""


def one_line(error: BaseException, choices: Callable[[str], list[str]], chosen: Chosen) -> str:
    """Returns a complaint in one line.

    Args:
        error: What was raised while a configuration was composed.
        choices: Returns the choices of a group.
        chosen: See ``Chosen``; asked where an option is unknown.
    """
    text = " ".join(str(error).split())
    cause = error.__cause__ or error
    key = getattr(cause, "full_key", None)
    if match := re.search(r"Could not override '([^']+)'|config group '([^']+)' does not exist", text):
        return unknown((match[1] or match[2]).partition("@")[0], chosen())
    if key and "not in struct" in str(cause):
        return unknown(key, chosen())
    if match := re.search(r"Could not (?:find|load) '([^']+)'", text):
        return _no_choice(match[1], choices)
    if match := re.search(r"Ambiguous value for argument '(.+?)' 1\.|Sweep parameters '(.+)' requires", text):
        return f"{match[1] or match[2]}: several values; add --multirun to run a cell for each"
    if match := re.search(r"Sweeping over Hydra's configuration is not supported : '(.+)'", text):
        return f"{match[1]}: several values of one of Hydra's own options; give one"
    if match := re.search(r"Could not append to config. An item is already at '([^']+)'", text):
        return f"+{match[1]}: there is such an option already; leave the + out"
    if match := re.search(r"Could not append '([^']+)'|Multiple values for ([^.]+)\.", text):
        name = (match[1] or match[2]).split("@")[0].partition("=")[0]
        return f"{name}: given twice; a run has one"
    if match := re.search(r"Could not delete(?: from config)?\.? '?([^'.]+)", text):
        return f"~{match[1]}: there is nothing of that name to take away"
    if match := re.search(r"Error resolving interpolation '(.+)', possible", text):
        return f"{match[1]}: names no group; a group's choice may refer to another's, such as ${{task}}"
    if match := re.search(r"hydra\.searchpath must be a list of strings\. Got: (.*)", text):
        return f"hydra.searchpath={match[1]}: expected a list of folders, such as [file:///home/me/conf]"
    if "Unsupported item value in defaults" in text:
        return "defaults: an entry is a text or a GROUP: CHOICE pair"
    if match := re.search(r"(?:primary config|config) '([^']+)' must be a DictConfig", text):
        return f"{match[1]}: expected a mapping of options, such as 'seed: 1'"
    return _configuration(error, text)


def _no_choice(where: str, choices: Callable[[str], list[str]]) -> str:
    group, _, choice = where.rpartition("/")
    if where.partition("/")[0] in CHOSEN and not where.startswith("recipe/"):
        group, _, choice = where.partition("/")
    if choice in PLUGINS:
        ours, extra = PLUGINS[choice]
        return f"{group}={ours}: is not installed: pip install 'exp-tables[{extra}]'"
    names = choices(group)
    if group.startswith("recipe/"):
        task = group.partition("/")[2]
        if not names:
            return _no_recipes(choice, task)
        return f"recipe={choice}: not a recipe of task={task}; it has {', '.join(names)}{nearest(choice, names)}"
    if not group or not names:
        return f"{where}: there is no such configuration; --config-dir DIR or hydra.searchpath=[DIR] says where to look"
    if familiar := FAMILIAR_CHOICES.get(f"{group}={choice}"):
        return f"{group}={choice}: no such choice; here it is {familiar}"
    return f"{group}={choice}: no such choice; there are {', '.join(names)}{nearest(choice, names)}"


def _no_recipes(choice: str, task: str) -> str:
    """Returns where a task's recipes are looked for, of which there are none."""
    module = TASKS[task].__module__ if task in TASKS else ""
    homes = [plugin.path / "conf" for plugin in active() if f"{module}.".startswith(f"{plugin.name}.")]
    folder = (homes or [conf_dir()])[0] / "recipe" / task
    how = "an installed package has its conf/**/*.yaml only where its pyproject.toml ships them as package data"
    return f"recipe={choice}: not a recipe of task={task}; there are none in {folder}; {how}"


def _configuration(error: BaseException, text: str) -> str:
    """Returns what is wrong with a value or a file of configuration."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for one in reversed(chain):
        key = getattr(one, "full_key", None) or ""
        words = str(one)
        if mark := getattr(one, "problem_mark", None):
            where = f"{Path(mark.name).name if mark.name else 'the file'}, line {mark.line + 1}"
            return f"{where}: not YAML: {getattr(one, 'problem', None) or 'it cannot be read'}"
        if type(one).__name__ == "RecursionError" or "cycl" in words.lower() or "recursi" in words.lower():
            return f"{key or 'a value'}: refers to itself" if key else "a value refers to itself by ${...}"
        if match := re.search(r"Interpolation key '([^']*)' not found", words):
            return f"{key or 'a value'}: refers to ${{{match[1]}}}, which there is not"
        if match := re.search(r"Unsupported interpolation type (\S+)", words):
            return f"{key or 'a value'}: ${{{match[1]}:...}} is no resolver that Hydra knows"
        if "Missing mandatory value" in words or "interpolation to missing" in words.lower():
            return f"{key or 'a value'}: ??? says that a value has to be given; give {key or 'it'}=VALUE"
        if "UnicodeDecodeError" in type(one).__name__:
            return "a file of configuration is not UTF-8 text"
        if "raised while resolving interpolation" in words:
            return f"{key or 'a value'}: {_plain(words)}"
        if type(one).__name__ == "GrammarParseError":
            return f"{key or 'a value'}: its ${{...}} is not well-formed"
        if "Incompatible key type" in words:
            return f"{key.rpartition('.')[0] or 'a mapping'}: one of its names is no text"
        if "does not support deletion" in words:
            return "what is built into Hydra cannot be taken away with ~"
    override = re.search(r"Error merging override (\S+)|Error parsing override '([^']+)'", text)
    if override:
        return f"{override[1] or override[2]}: {_plain(str(chain[-1])) or 'does not fit what the option is'}"
    return _plain(text) or "this configuration cannot be composed"


def _plain(text: str) -> str:
    """Returns a foreign message without names of classes, addresses and hints that lead elsewhere."""
    text = " ".join(text.split("\n")[0].split())
    text = re.sub(
        r"\b\w*(?:Error|Exception)(?: raised while (?:resolving interpolation|composing config))?: ?", "", text
    )
    text = re.sub(r"See https?://\S+.*$|full_key: .*$|object_type=.*$", "", text)
    for foreign, ours in (("DictConfig", "a mapping"), ("ListConfig", "a list"), ("NoneType", "nothing")):
        text = text.replace(foreign, ours)
    return re.sub(r"\b(?:omegaconf|hydra\.(?:errors|core|plugins|_internal))(?:\.\w+)*\b", "Hydra", text).strip(" .")

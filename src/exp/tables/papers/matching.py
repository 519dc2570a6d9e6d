"""What a paper's rows and columns are called here: choices, options and metrics by their names, nothing by guess."""

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exp.options.catalog import GROUPS, TASKS, fitting
from exp.options.compose import short_names
from exp.options.folders import conf_dir
from exp.options.parts import TaskOptions
from exp.tables.adhoc import says_less
from exp.tables.papers.printed import is_nothing

PARTS = re.compile(r"\s*(?:\+|&|,|;|\||\bw/\s?|\bwith\b|\band\b|\(|\))\s*")
SETTING = re.compile(r"\s*([A-Za-z][\w \-]*?)\s*(?:=|:)\s*([\w.+\-]+)\s*")
BEHIND = re.compile(r"(.*\S)\s+(\w+\s*[=:]\s*\S+)")
"""A setting behind a name, as in ``SE r=16``."""
SYMBOLS = {"k": "kernel_size", "r": "reduction"}
"""Letters by which papers write options."""
PLAIN = re.compile(r"(?:baseline|vanilla|none|plain|original|noattention|withoutattention|woattention|)")
"""How papers call a row without an attention block."""
NOISE = ("ours", "proposed", "our", "reimpl", "reproduced", "official", "backbone")
"""Words that say nothing of what a row is."""
ENDINGS = ("attention", "module", "block", "network", "net", "att", "attn")
"""What names may end in or lack: SE, SENet and SE block are one."""
COSTS = {
    **dict.fromkeys(("params", "param", "parameters", "parameter", "p"), "result/params"),
    **dict.fromkeys(("macs", "gmacs", "mmacs", "flops", "gflops", "mflops", "multadds", "madds"), "result/macs"),
}
LITTLE = ("error", "params", "parameters", "flops", "macs", "time")
"""Parts of headings, also of those in one word, of which less is better besides what metrics are called."""
SCALES = {"K": 1e3, "k": 1e3, "M": 1e6, "m": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}


@dataclass
class MatchedRow:
    """What a row's texts mean.

    Attributes:
        options: Options that are sure.
        open: Texts that nothing was found for, each with the nearest candidates.
    """

    options: dict[str, Any] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchedColumn:
    """What a column's heading means.

    Attributes:
        metric: Where a cell has it, empty where that is not clear.
        candidates: The nearest metrics, where it is not.
        higher: Whether more is better.
        unit: Printed unit.
        per: What a measured value is divided by to be in that unit.
    """

    metric: str
    candidates: tuple[str, ...] = ()
    higher: bool = True
    unit: str = ""
    per: float = 1.0


def plain(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("@", ""))


def _keys(text: str) -> set[str]:
    """The spellings under which a name is looked for: with and without endings such as ``net``."""
    whole = plain(text)
    keys = {whole}
    for ending in ENDINGS:
        if whole.endswith(ending) and len(whole) > len(ending) + 1:
            keys.add(whole.removesuffix(ending))
    return keys


def _spelt_out(schema: Any) -> set[str]:
    """The first words of a choice's description, such as ``coordinateattention``."""
    first = re.split(r"[.,:;(]", (schema.__doc__ or "").strip())[0]
    return {plain(first), *(plain(first).removesuffix(ending) for ending in ENDINGS)} - {""}


def choice_of(text: str, kind: str) -> tuple[str, str] | None:
    """Returns the part and choice that a text names, of what fits a kind of task; None where none or several do."""
    there = [(group, name) for group in ("model", "att", "data") for name in fitting_choices(group, kind)]
    keys = _keys(text)
    exact = [one for one in there if plain(one[1]) == plain(text)]
    found = exact or [one for one in there if keys & _keys(one[1])]
    found = found or [one for one in there if keys & _spelt_out(GROUPS[one[0]][one[1]])]
    return found[0] if len(found) == 1 or exact else None


def fitting_choices(group: str, kind: str) -> list[str]:
    """The choices of a part that fit a kind of task; blocks go into networks for images."""
    if group == "att":
        return list(GROUPS["att"]) if kind == "images" else []
    return fitting(group, kind)


def candidates(text: str, kind: str) -> list[str]:
    """The choices and options nearest to a text, as they would be written."""
    choices = {plain(name): f"{group}={name}" for group in ("model", "att") for name in fitting_choices(group, kind)}
    options = {plain(name): f"{name}=..." for name in short_names()}
    name, setting, _ = text.partition("=")
    near = [] if setting else [choices[one] for one in difflib.get_close_matches(plain(text), choices, n=3, cutoff=0.5)]
    return near + [options[one] for one in difflib.get_close_matches(plain(name), options, n=2, cutoff=0.7)]


def match_row(labels: Sequence[str], heads: Sequence[str], group: str, kind: str) -> MatchedRow:
    """Finds what a row sets.

    Args:
        labels: The texts that make its name.
        heads: The heading above each; one that names an option or a part makes the text its value.
        group: The heading between rows that it is under; taken where it is a choice, else ignored.
        kind: What its task works on.
    """
    row = MatchedRow()
    for label, head in zip(labels, heads, strict=True):
        if is_nothing(label):
            if kind == "images":
                row.options.setdefault("att", "none")
            continue
        part, option = head.lower().rpartition(".")[2], _option(head.rpartition(".")[2])
        if part in GROUPS and label in GROUPS[part]:
            row.options[part] = label
        elif option and not choice_of(label, kind):
            row.options[option] = _value(label)
        else:
            parts = [part for part in PARTS.split(label) if plain(part) and plain(part) not in NOISE]
            if not parts:
                row.open[label] = []
            for part in parts:
                _match_part(part, row, kind)
    for part in PARTS.split(group):
        if (chosen := choice_of(part, kind)) and chosen[0] not in row.options:
            row.options[chosen[0]] = chosen[1]
    return row


def _match_part(part: str, row: MatchedRow, kind: str) -> None:
    chosen = choice_of(part, kind)
    if chosen is None and PLAIN.fullmatch(plain(part)) and kind == "images":
        row.options.setdefault("att", "none")
        return
    setting = SETTING.fullmatch(part)
    if setting and (option := _option(setting[1])):
        row.options[option] = _value(setting[2])
    elif chosen and chosen[0] not in row.options:
        row.options[chosen[0]] = chosen[1]
    elif chosen is None and (behind := BEHIND.fullmatch(part)):
        for piece in behind.groups():
            _match_part(piece, row, kind)
    elif chosen is None or row.options.get(chosen[0]) != chosen[1]:
        row.open[part] = candidates(part, kind)


def _option(text: str) -> str | None:
    names = SYMBOLS | {plain(name): name for name in short_names()}
    return names.get(plain(text)) or names.get(plain(text).removesuffix("s"))


def _value(text: str) -> Any:
    """A value as YAML has it: ``7x7`` is 7, names are as options spell them."""
    square = re.fullmatch(r"(\d+)\s*[x×]\s*\1", text.strip())
    text = square[1] if square else text.strip()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return re.sub(r"[\s\-]+", "_", text.lower())


def task_of(labels: Iterable[Sequence[str]], headings: Iterable[str], caption: str) -> str:
    """The task of a table: the one that has most of its models, metrics and data."""
    texts = [part for label in labels for text in label for part in PARTS.split(text) if plain(part)]
    names = list(headings)

    def fit(task: type[TaskOptions]) -> int:
        models = sum((choice_of(text, task.kind) or ("",))[0] == "model" for text in texts)
        own = sum(metric_of(name, task).metric.startswith("test/") for name in names)
        return models + own + 2 * bool(data_of(caption, task.kind))

    return max(TASKS, key=lambda name: fit(TASKS[name]))


def data_of(text: str, kind: str) -> str | None:
    """The data set of a kind that a text names."""
    words = plain(text)
    named = [name for name, schema in GROUPS["data"].items() if schema.kind == kind and not schema.surrogate]
    named += [path.stem for path in (conf_dir() / "data").glob("*.yaml")] if kind == "images" else []
    found = [name for name in sorted(named, key=len, reverse=True) if len(plain(name)) > 3 and plain(name) in words]
    return found[0] if found else None


def models_in(text: str, kind: str) -> set[str | None]:
    """The models of a kind that a text names, by a word or two."""
    words = [word.strip(".,;:()") for word in text.split()]
    named = [choice_of(part, kind) for part in [*words, *map(" ".join, itertools.pairwise(words))] if plain(part)]
    return {chosen[1] for chosen in named if chosen and chosen[0] == "model"}


def metric_of(heading: str, task: type[TaskOptions], last: str = "") -> MatchedColumn:
    """What a column's heading means in a task.

    Args:
        heading: All its levels in a line.
        task: The task.
        last: Its lowest level alone, tried where the whole means nothing.
    """
    column = _metric(heading, task)
    if not column.metric and last and last != heading:
        below = _metric(last, task)
        column = below if below.metric else column
    return column


def _metric(heading: str, task: type[TaskOptions]) -> MatchedColumn:
    lower = "↓" in heading
    unit = re.search(r"\(([%KMGBTkms]|ms|GB|MB|G|points)\)", heading)
    named = re.sub(r"\([^)]*\)|[↑↓#%]", " ", heading)
    words = plain(named)
    higher = not lower and ("↑" in heading or not (says_less(named) or any(part in words for part in LITTLE)))
    printed = unit[1] if unit else "%" if "%" in heading else ""
    if words in COSTS:
        scale = SCALES.get(printed, {"g": 1e9, "m": 1e6}.get(words[0] if words[1:] in COSTS else "", 1.0))
        return MatchedColumn(COSTS[words], higher=False, unit=printed, per=scale)
    names = _names(task)
    metric = names.get(words) or next((names[key] for key in names if key == words.removesuffix("accuracy")), "")
    if not metric:
        endings = [key for key in sorted(names, key=len, reverse=True) if len(key) > 2 and words.endswith(key)]
        metric = names[endings[0]] if endings and not any(word in words for word in ("error", "err")) else ""
    if metric:
        return MatchedColumn(f"test/{metric}", higher=higher, unit=printed)
    near = difflib.get_close_matches(words, names, n=3, cutoff=0.3)
    return MatchedColumn("", tuple(dict.fromkeys(f"test/{names[key]}" for key in near)), higher, printed)


def metric_in(text: str, task: type[TaskOptions]) -> str | None:
    """The metric that a text such as a caption names by one of its spellings; the longest where there are several."""
    words, names = plain(text), _names(task)
    return next((names[key] for key in sorted(names, key=len, reverse=True) if len(key) > 2 and key in words), None)


def _names(task: type[TaskOptions]) -> Mapping[str, str]:
    """Metrics of a task by their spellings."""
    own = {plain(name): name for name in task.reports if "*" not in name}
    return own | {plain(key): value for key, value in task.printed.items()}

"""From a printed table to a table that runs: a YAML file with rows, columns, numbers with quotes, and claims."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exp.options.catalog import TASKS
from exp.options.compose import STANDARD, Compose, Overlay
from exp.options.errors import ConfigError
from exp.options.resolve import resolve
from exp.options.words import spelt
from exp.tables.papers.matching import (
    MatchedColumn,
    MatchedRow,
    data_of,
    match_row,
    metric_in,
    metric_of,
    models_in,
    plain,
    task_of,
)
from exp.tables.papers.printed import PrintedColumn, PrintedNumber
from exp.tables.papers.shape import Shape

SOURCE = "paper"


@dataclass(frozen=True)
class Study:
    """A table's file as it will be written, and what a person has to know of it.

    Attributes:
        content: The file's content.
        open_rows: Rows that say what is missing.
        open_columns: Columns that do.
    """

    content: dict[str, Any]
    open_rows: tuple[str, ...]
    open_columns: tuple[str, ...]


def study_of(shape: Shape, file: Path, where: str, compose: Compose = STANDARD) -> Study:
    """Makes a table that runs of a printed one.

    Args:
        shape: The printed table's parts.
        file: Where it was printed.
        where: Which of the file's tables it is, for a reader.
        compose: Composes overrides; every row is tried before it is written.
    """
    compose = Overlay(compose)
    task = task_of(shape.labels, [one.heading for one in shape.columns], shape.caption)
    kind = TASKS[task].kind
    groups = shape.groups or [""] * len(shape.labels)
    matched = [
        match_row(*one, kind) for one in zip(shape.labels, [shape.label_heads] * len(groups), groups, strict=True)
    ]
    if any("att" in row.options for row in matched):
        for row in matched:
            if not row.open:
                row.options.setdefault("att", "none")
    data = _data_of_columns(task, shape, matched, compose)
    columns = {one.name: _matched(one, task, shape.caption, data) for one in shape.columns}
    base = _base(task, shape, matched, data, compose)
    rows = {name: _row(one, base, matched, compose) for name, one in zip(shape.names, matched, strict=True)}
    title = re.sub(r"\s+([.,;:])", r"\1", shape.caption) or f"The table of {file.name}"
    content: dict[str, Any] = {
        "title": title if len(title) <= 120 else f"{title[:117]}...",
        "sources": {SOURCE: {"file": file.name, "title": where}},
        "base": base,
        "rows": rows,
        "reference": _reference(shape, matched),
        "columns": {name: _column(one, data.get(name, "")) for name, one in columns.items()},
        "published": _published(shape),
    }
    if claims := _claims(shape, columns):
        content["claims"] = claims
    if not content["published"]:
        del content["published"]
    return Study(
        content,
        tuple(name for name, row in rows.items() if "todo" in row),
        tuple(name for name, column in content["columns"].items() if "todo" in column),
    )


def _data_of_columns(task: str, shape: Shape, rows: Sequence[MatchedRow], compose: Compose) -> dict[str, str]:
    """Each column's data set, where headings name several that the task knows; empty where one is all rows'."""
    if any("data" in row.options for row in rows):
        return {}
    named = {column.name: data_of(column.heading, TASKS[task].kind) or "" for column in shape.columns}
    known = [
        data for data in dict.fromkeys(named.values()) if data and not _problem({"task": task, "data": data}, compose)
    ]
    if len(known) < 2:
        return {}
    return {name: data if data in known else known[0] for name, data in named.items()}


def _matched(column: PrintedColumn, task: str, caption: str, data: Mapping[str, str]) -> MatchedColumn:
    """What a column means; one that says no more than its data set means the metric that the caption names."""
    matched = metric_of(column.heading, TASKS[task], column.heads[-1])
    if matched.metric or plain(column.name) != plain(data.get(column.name, "")):
        return matched
    named = metric_in(caption, TASKS[task])
    return replace(matched, metric=f"test/{named}") if named else matched


def _base(
    task: str, shape: Shape, rows: Sequence[MatchedRow], columns: Mapping[str, str], compose: Compose
) -> dict[str, Any]:
    """What all rows share: the task, the recipe of published numbers, and data and model that the texts name."""
    base: dict[str, Any] = {"task": task, "recipe": "published"}
    named = " ".join([shape.caption, *(column.name for column in shape.columns)])
    more: dict[str, Any] = {}
    if not columns and (data := data_of(named, TASKS[task].kind)):
        more["data"] = data
    models = {row.options.get("model") for row in rows}
    if models == {None}:
        models = models_in(shape.caption, TASKS[task].kind)
    if len(models) == 1 and (model := models.pop()):
        more["model"] = model
    for key, value in more.items():
        if not _problem({**base, key: value}, compose):
            base[key] = value
    if "model" in base:
        for row in rows:
            row.options.pop("model", None)
    return base


def _row(row: MatchedRow, base: dict[str, Any], rows: Sequence[MatchedRow], compose: Compose) -> dict[str, Any]:
    """The row's options, or what is missing before it can run."""
    options = dict(row.options)
    missing = [f"which options is '{text}'?{_near(near)}" for text, near in row.open.items()]
    if not missing and not options and len(rows) > 1 and "model" not in base:
        missing = ["which options make this row?"]
    if not missing and options and (problem := _problem(base | options, compose)):
        missing = [problem]
    return options if not missing else {**options, "todo": "; ".join(missing)}


def _near(near: Sequence[str]) -> str:
    return f" nearest: {', '.join(near)}" if near else ""


def _problem(options: dict[str, Any], compose: Compose) -> str:
    """Why a cell of these options cannot run, empty where it can."""
    overrides = [f"{key}={spelt(value)}" for key, value in options.items()]
    try:
        resolve(compose(overrides), overrides)
    except ConfigError as error:
        return str(error)
    return ""


def _reference(shape: Shape, rows: Sequence[MatchedRow]) -> str:
    """The row without an attention block, else the first."""
    return next(
        (name for name, row in zip(shape.names, rows, strict=True) if row.options.get("att") == "none"), shape.names[0]
    )


def _column(column: MatchedColumn, data: str) -> dict[str, Any]:
    content: dict[str, Any] = {"under": {"data": data}} if data else {}
    if column.metric:
        content["metric"] = column.metric
    if column.unit:
        content["unit"] = column.unit
    if not column.higher:
        content["better"] = "lower"
    if column.per != 1:
        content["per"] = int(column.per)
    if not column.metric:
        content["todo"] = f"which metric is this?{_near(column.candidates)}"
    return content


def _published(shape: Shape) -> dict[str, Any]:
    published = {}
    for place, name in enumerate(shape.names):
        numbers = {column.name: number for column in shape.columns if (number := column.numbers[place]) is not None}
        if not numbers:
            continue
        quote = shape.quotes[place]
        failed = [column for column, number in numbers.items() if number.value is None]
        entry: dict[str, Any] = {"source": SOURCE} | ({"quote": quote} if quote else {})
        if len(failed) == len(numbers):
            published[name] = {**entry, "outcome": "failed"}
            continue
        entry |= {column: _number(number) for column, number in numbers.items()}
        published[name] = entry
    return published


def _number(number: PrintedNumber) -> Any:
    value = number.value
    whole = int(value) if value is not None and value.is_integer() and abs(value) >= 1000 else value
    if number.sd is None and number.n is None:
        return whole
    return {"value": whole} | {key: one for key, one in (("sd", number.sd), ("n", number.n)) if one is not None}


def _claims(shape: Shape, columns: dict[str, MatchedColumn]) -> list[dict[str, Any]]:
    """Bold is best: a claim for each column in which one row alone is bold among others that are not."""
    claims = []
    for column in shape.columns:
        known = [
            place for place, number in enumerate(column.numbers) if number is not None and number.value is not None
        ]
        bold = [place for place in known if column.bold[place]]
        if len(bold) != 1 or len(known) < 2:
            continue
        best, others = shape.names[bold[0]], [shape.names[place] for place in known if place != bold[0]]
        claims.append(
            {
                "text": f"{best} is the best by {column.name}",
                "columns": [column.name],
                "order": f"{best} > {', '.join(others)}",
                "source": SOURCE,
                "quote": shape.quotes[bold[0]],
            }
        )
    return claims


def todo_words(study: Study) -> list[str]:
    """What is left to do, a line a row and column."""
    rows, columns = study.content["rows"], study.content["columns"]
    lines = [f"row {name}: {rows[name]['todo']}" for name in study.open_rows]
    return lines + [f"column {name}: {columns[name]['todo']}" for name in study.open_columns]

"""CSV of other tools' runs (W&B, MLflow, one's own): a line a run with its seed becomes a table with statistics."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.options.errors import ConfigError
from exp.tables.adhoc import says_less
from exp.tables.compare import Comparison, Entry, compare
from exp.tables.given import Given
from exp.tables.papers.matching import PLAIN
from exp.tables.papers.printed import PrintedColumn, PrintedNumber, PrintedTable, is_nothing, number
from exp.tables.papers.shape import Shape
from exp.tables.plan import PlannedRow, TablePlan
from exp.tables.spec import Column, Row, Table

SEED = re.compile(r"(?:.*[./_ ])?(?:random_?)?seed", re.IGNORECASE)
IDENTIFIERS = re.compile(
    r"(?:name|id|run ?_?id|run|state|status|created|notes|user|tags|runtime|_?timestamp|_?step|_?runtime|start_?time"
    r"|end_?time|duration|source.*|hostname|commit|sweep|artifact.*|experiment.*|lifecycle.*)",
    re.IGNORECASE,
)
"""What other tools write beside configuration and metrics; it tells no rows apart."""
CONFIGURATION = re.compile(
    r"(?:config|params?|hparams|hyperparameters|cfg)[./]|.*(?:_size|rate|lr|width|depth)$", re.IGNORECASE
)
METRIC = re.compile(
    r"(?:metrics?|summary|test|val|eval|train)[./_ ]|.*(?:acc|top|loss|f1|error|score|auc|rank|map)", re.IGNORECASE
)


@dataclass
class ForeignRow(PlannedRow):
    """A row of runs that were made elsewhere: it has values and no cells.

    Attributes:
        labels: What tells it from other rows.
        values: By seed, each metric's value.
    """

    labels: list[str] = field(default_factory=list)
    values: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def results(self) -> dict[int, tuple[Path, dict[str, Any]]]:
        """What a cell's result would hold."""
        return {seed: (Path(), {"test": values}) for seed, values in self.values.items()}

    def count(self, *states: str) -> int:
        """Runs in any of the states; all of them are done."""
        return len(self.values) if "done" in states else 0


def seed_column(table: PrintedTable) -> int | None:
    """Place of the column of seeds, None where there is none."""
    heads = [cell.text for cell in table.rows[0]]
    return next((place for place, text in enumerate(heads) if SEED.fullmatch(text)), None)


def comparison_of(table: PrintedTable, file: Path) -> Comparison:
    """Returns the runs as a compared table: rows by what varies beside seeds, a column a metric.

    Raises:
        ConfigError: A seed is no whole number, a run is there twice, or there is no metric.
    """
    seeds = seed_column(table)
    assert seeds is not None
    heads = [cell.text for cell in table.rows[0]]
    body = [[cell.text for cell in row] for row in table.rows[1:]]
    metrics = [
        place for place in range(len(heads)) if place != seeds and _is_metric(heads[place], [r[place] for r in body])
    ]
    if not metrics:
        raise ConfigError(f"{file}: no column of numbers beside {heads[seeds]}")
    kinds = _kinds(heads, body, {seeds, *metrics})
    rows: dict[str, ForeignRow] = {}
    for line, texts in enumerate(body, start=2):
        if not texts[seeds].isdigit():
            raise ConfigError(f"{file}:{line}: {heads[seeds]}: '{texts[seeds]}' is not a whole number")
        labels = [texts[place] for place in kinds]
        name = " ".join(filter(None, labels)) or file.stem
        row = rows.setdefault(name, ForeignRow(Row(name, {}), labels=labels))
        if int(texts[seeds]) in row.values:
            raise ConfigError(f"{file}:{line}: {name} with seed {texts[seeds]} is there twice; {_hint(heads, kinds)}")
        known = {heads[place]: number(texts[place]) for place in metrics}
        row.values[int(texts[seeds])] = {key: one.value for key, one in known.items() if one and one.value is not None}
    names = [heads[place] for place in metrics]
    columns = {name: Column(name, f"test/{name}", higher=not says_less(name)) for name in names}
    return compare(_plan(file, rows, columns))


def _is_metric(head: str, texts: Sequence[str]) -> bool:
    """Whether a column is measured: numbers that are not the configuration's."""
    filled = [text for text in texts if not is_nothing(text)]
    if (
        not filled
        or IDENTIFIERS.fullmatch(head)
        or CONFIGURATION.match(head)
        or any(number(text) is None for text in filled)
    ):
        return False
    return bool(METRIC.match(head)) or any("." in text for text in filled)


def _kinds(heads: Sequence[str], body: Sequence[Sequence[str]], others: set[int]) -> list[int]:
    """Places of the columns whose values tell rows apart."""
    places = [place for place in range(len(heads)) if place not in others and not IDENTIFIERS.fullmatch(heads[place])]
    return [place for place in places if len({row[place] for row in body}) > 1]


def _hint(heads: Sequence[str], kinds: Sequence[int]) -> str:
    return f"rows are told apart by {', '.join(heads[place] for place in kinds) or 'nothing'}"


def _plan(file: Path, rows: dict[str, ForeignRow], columns: dict[str, Column]) -> TablePlan:
    seeds = tuple(sorted({seed for row in rows.values() for seed in row.values}))
    reference = next((name for name in rows if PLAIN.fullmatch(name.lower())), next(iter(rows)))
    title = f"{len(rows)} rows of {file.name}"
    table = Table(file.name, title, {}, {}, {name: row.row for name, row in rows.items()}, columns, seeds, reference)
    planned: list[PlannedRow] = list(rows.values())
    return TablePlan(table, [], Given({}, {}, None, ()), Path(), seeds, planned, [], {}, [])


def shape_of_runs(comparison: Comparison, table: PrintedTable, file: Path) -> Shape:
    """Returns the means of runs as the parts of a printed table, so that they become a table's file like a paper's."""
    heads = [cell.text for cell in table.rows[0]]
    seeds = seed_column(table)
    assert seeds is not None
    body = [[cell.text for cell in row] for row in table.rows[1:]]
    kinds = _kinds(heads, body, {seeds, *(heads.index(name) for name in comparison.plan.table.columns)})
    rows = [row for row in comparison.plan.rows if isinstance(row, ForeignRow)]
    columns = []
    for name in comparison.plan.table.columns:
        entries = [comparison.entry(row.row.name, name) for row in rows]
        columns.append(PrintedColumn([name], [_mean(entry) for entry in entries], [False] * len(entries)))
    names = [row.row.name for row in rows]
    label_heads = [heads[place] for place in kinds]
    return Shape(names, [row.labels for row in rows], label_heads, columns, [""] * len(rows), f"Runs of {file.name}")


def _mean(entry: Entry) -> PrintedNumber | None:
    if entry.mean is None:
        return None
    return PrintedNumber(round(entry.mean, 6), None if entry.sd is None else round(entry.sd, 6), entry.n)

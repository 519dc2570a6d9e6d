"""Mistakes in a table's file that show when its rows are composed: said with file and line, before anything runs."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from exp.options.catalog import METRICS
from exp.options.errors import ConfigError, nearest
from exp.options.parts import TaskOptions
from exp.options.resolve import Resolved
from exp.tables.spec import Row, Table

EVALUATED = ("test", "best", "last", "epoch")
"""Beginnings of metrics that an evaluation reports; training and the result have names of their own."""


def refuse_bad_rows(table: Table, rows: Iterable[Row], own: Callable[[Row], Resolved | ConfigError]) -> None:
    """Refuses rows that cannot run even as the table's file has them.

    Args:
        table: The table.
        rows: Those of its rows that cannot run under the command line.
        own: Resolves a row without the command line.

    Raises:
        ConfigError: A row is wrong. Where none of a table that ships can run, its task is not installed; that is no
            mistake of the file.
    """
    wrong = {row.name: error for row in rows if isinstance(error := own(row), ConfigError)}
    if wrong and (table.own or len(wrong) < len(table.rows)):
        name, error = next(iter(wrong.items()))
        everywhere = len(wrong) == len(table.rows) > 1
        place, what = (("base",), "base") if everywhere else (("rows", name), f"row {name}")
        raise ConfigError(f"{table.at(*place)}: {what}: {error}")


def refuse_unknown_metrics(table: Table, tasks: Iterable[TaskOptions]) -> None:
    """Refuses a column whose metric no cell will report.

    Args:
        table: The table.
        tasks: Those of its cells; tasks that do not say what they report are not judged.

    Raises:
        ConfigError: There is such a column.
    """
    listed = list(tasks)
    further = [pattern for task in listed for name in task.further for pattern in (name, f"{name}_*")]
    patterns = list(dict.fromkeys([*(pattern for task in listed for pattern in task.reports), *further]))
    if not listed or not all(task.reports for task in listed):
        return
    for column in table.columns.values():
        where, _, name = column.metric.partition("/")
        if where.startswith(EVALUATED) and not any(fnmatchcase(name, pattern) for pattern in patterns):
            how = f"; metrics={name} adds it" if name in METRICS else nearest(name, patterns)
            raise ConfigError(
                f"{table.at('columns', column.name, 'metric')}: column {column.name}: no cell will report"
                f" {column.metric}; they report {', '.join(patterns)}{how}"
            )

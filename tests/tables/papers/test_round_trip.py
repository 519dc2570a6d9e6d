"""Every table that ships, rendered in each format and read back, gives the same published numbers."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from exp.tables.compare import Comparison, compare
from exp.tables.papers.delimited import read_delimited
from exp.tables.papers.files import read_tables
from exp.tables.papers.markdown import read_markdown
from exp.tables.papers.printed import PrintedTable, number
from exp.tables.papers.web import read_html
from exp.tables.plan import Planner
from exp.tables.reading import names
from exp.tables.render import as_csv, latex, markdown
from exp.tables.report import page

Numbers = dict[tuple[str, str], float | None]


def wanted(comparison: Comparison) -> Numbers:
    return {key: entry.published.value for key, entry in comparison.entries.items() if entry.published}


def below_one_heading(tables: list[PrintedTable], comparison: Comparison) -> Numbers:
    """Of a table a metric, whose caption begins with the metric."""
    read: Numbers = {}
    for table in tables:
        table = table.squared()
        heads = [cell.text for cell in table.rows[0]]
        columns = sorted(comparison.plan.table.columns, key=len, reverse=True)
        column = next((one for one in columns if re.match(rf"{re.escape(one)}\b", table.caption)), None)
        if "published" not in heads or column is None:
            continue
        for row in table.rows[1:]:
            printed = number(row[heads.index("published")].text)
            if printed is not None:
                read[row[0].text, column] = printed.value
    return read


def from_latex(comparison: Comparison, folder: Path) -> Numbers:
    pytest.importorskip("pylatexenc", reason="pylatexenc is not installed")
    path = folder / "table.tex"
    path.write_text(latex(comparison))
    read: Numbers = {}
    for table in read_tables(path):
        table = table.squared()
        for place, (name, below) in enumerate(zip(table.rows[0], table.rows[1], strict=True)):
            for row in table.rows[2:]:
                printed = number(row[place].text) if below.text == "published" else None
                if printed is not None:
                    column = next(
                        c for c in comparison.plan.table.columns if name.text in (c, f"{c} ({unit(comparison, c)})")
                    )
                    read[row[0].text, column] = printed.value
    return read


def unit(comparison: Comparison, column: str) -> str:
    return comparison.plan.table.columns[column].unit


def from_csv(comparison: Comparison, folder: Path) -> Numbers:
    (table,) = read_delimited(as_csv(comparison))
    heads = [cell.text for cell in table.rows[0]]
    places = [heads.index(name) for name in ("row", "metric", "published")]
    read: Numbers = {}
    for row in table.rows[1:]:
        name, column, printed = (row[place].text for place in places)
        if (one := number(printed)) is not None:
            read[name, column] = one.value
    return read


FORMATS: dict[str, Callable[[Comparison, Path], Numbers]] = {
    "md": lambda comparison, folder: below_one_heading(read_markdown(markdown(comparison)), comparison),
    "html": lambda comparison, folder: below_one_heading(read_html(page([comparison], folder)), comparison),
    "tex": from_latex,
    "csv": from_csv,
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Comparison]:
    """Every table that ships, without a result."""
    planner = Planner(tmp_path_factory.mktemp("empty"))
    return {name: compare(planner.plan(name)) for name in names()}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_rendered_reads_back_the_same(form: str, tmp_path: Path, shipped: dict[str, Comparison]) -> None:
    numbers = 0
    for name, comparison in shipped.items():
        assert FORMATS[form](comparison, tmp_path) == wanted(comparison), name
        numbers += len(wanted(comparison))
    assert numbers > 60

"""Data sets as columns: a row has cells under what each column sets."""

import csv
import io
import json
from pathlib import Path

import pytest

from exp.options.errors import ConfigError
from exp.sweep.plan import Planned
from exp.tables.compare import compare
from exp.tables.figures import figures
from exp.tables.plan import PlannedRow, Planner
from exp.tables.render import as_csv, as_json, latex, markdown
from exp.tables.report import page
from exp.tables.words import criteria, state
from tests.tables.cells import fail, finish

TABLE = """
title: Two data sets
base: {task: attention, recipe: quick}
rows:
  none: {att: none}
  ca: {att: ca}
columns:
  digits: {metric: test/top1, unit: "%", under: {data: digits}}
  faces: {metric: test/top1, unit: "%", under: {data: faces}}
  loss: {metric: last/loss, better: lower, under: {data: faces}}
seeds: [0, 1, 2]
sources: {paper: {file: a paper}}
published:
  ca: {source: paper, quote: "ca & 99.0 & 60.0", digits: 99.0, faces: 60.0}
claims:
  - {text: ca is better, columns: [digits, faces], order: "ca > none"}
"""
VALUES = {
    ("none", "digits"): (90.0, 91.0, 90.5),
    ("ca", "digits"): (96.1, 97.0, 96.4),
    ("none", "faces"): (55.0, 57.0, 56.0),
    ("ca", "faces"): (54.8, 57.3, 55.9),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(TABLE)
    return tmp_path


def cells(row: PlannedRow) -> dict[str, list[Planned]]:
    return {part.title: part.cells for part in row.each}


def filled(here: Path) -> Planner:
    for row in Planner(here / "multirun").plan("mine").rows:
        for one in row.cells:
            data = one.resolved.config.data.name
            finish(one, test={"top1": VALUES[row.row.name, data][one.seed], "loss": 1.0})
    return Planner(here / "multirun")


def test_a_row_has_cells_under_each_data_set(here: Path) -> None:
    plan = Planner(here / "multirun").plan("mine")
    assert [list(cells(row)) for row in plan.rows] == [
        ["none, data=digits", "none, data=faces"],
        ["ca, data=digits", "ca, data=faces"],
    ]
    assert [[one.resolved.config.data.name for one in some] for some in cells(plan.rows[1]).values()] == [
        ["digits"] * 3,
        ["faces"] * 3,
    ]
    assert (len(plan.cells), plan.expected, state(plan)) == (12, 12, "12 cells: 12 waiting")
    assert not plan.complete


def test_each_column_has_the_numbers_of_its_cells(here: Path) -> None:
    comparison = compare(filled(here).plan("mine"))
    assert {
        key: tuple(entry.values.values()) for key, entry in comparison.entries.items() if key[1] != "loss"
    } == VALUES
    assert comparison.entry("ca", "digits").verdict == "better"
    assert comparison.entry("ca", "faces").verdict == "not resolved"
    assert comparison.claims[0].verdicts == {"digits": "supported", "faces": "undecided"}
    assert criteria(comparison, "faces") == "faces (%), more is better, under data=faces"
    assert state(comparison.plan) == "12 cells: 12 done"
    assert comparison.plan.complete
    assert not comparison.warnings or comparison.warnings[0].startswith("column loss")


def test_every_format_shows_them(here: Path) -> None:
    comparison = compare(filled(here).plan("mine"))
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert {(row["row"], row["metric"], row["under"], row["seed_1"]) for row in rows if row["metric"] != "loss"} == {
        (name, data, f"data={data}", str(values[1])) for (name, data), values in VALUES.items()
    }
    assert {record["under"] for record in json.loads(as_json(comparison))["rows"]} == {
        "data=digits",
        "data=faces",
    }
    lines = "".join(line for line in latex(comparison).splitlines() if line.startswith("ca"))
    assert "96.50 $\\pm$ 0.46 (3)" in lines
    assert "56.00 $\\pm$ 1.25 (3)" in lines
    assert "& 99 " in lines
    assert "dagger" not in lines, "the whole table is labelled"
    caption = next(line for line in latex(comparison).splitlines() if line.startswith("\\caption"))
    assert "Run with surrogate data, digits;" in caption
    assert " surrogate data, faces;" in caption
    assert "faces (%), more is better, under data=faces" in markdown(comparison)
    assert "ca, data=faces, seed 2: done" in page([comparison], here)


def test_curves_are_drawn_for_each_data_set(here: Path) -> None:
    drawn = {figure.name: figure for figure in figures(compare(filled(here).plan("mine")))}
    one, two = (drawn[f"top1-epoch-data-{data}"] for data in ("digits", "faces"))
    assert one.title == "digits (%) against epoch, evaluation, data=digits"
    assert [point.y for point in two.series[0].points] == [54.0, 55.0, 56.0]
    assert [point.y for point in one.series[0].points] == [88.5, 89.5, 90.5]
    assert {"train-loss-epoch-data-digits", "train-loss-epoch-data-faces"} <= drawn.keys()


def test_what_failed_under_one_data_set_is_done_under_the_other(here: Path) -> None:
    planner = Planner(here / "multirun")
    first, second = planner.plan("mine").rows[1].each
    for one in first.cells:
        finish(one, test={"top1": 90.0})
    for one in second.cells:
        fail(one)
    comparison = compare(planner.plan("mine"))
    assert comparison.entry("ca", "digits").n == 3
    assert comparison.entry("ca", "faces").mean is None
    assert state(comparison.plan) == "12 cells: 3 done, 6 waiting, 3 failed"
    assert "ca, data=faces, seed 0: failed" in page([comparison], here)


def test_a_data_set_on_the_command_line_keeps_its_columns(here: Path) -> None:
    plan = Planner(here / "multirun").plan("mine", ["data=faces", "seed=0"])
    assert list(plan.table.columns) == ["faces", "loss"]
    assert {one.resolved.config.data.name for one in plan.cells} == {"faces"}
    assert [row.title for row in plan.rows] == ["none", "ca"]
    assert "data=faces: 2 of 3 columns" in plan.notes
    assert plan.table.claims[0].columns == ("faces",)
    compare(plan)
    with pytest.raises(ConfigError, match="no column of table mine is left; data is one of digits, faces"):
        Planner(here / "multirun").plan("mine", ["data=cifar10"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{data: digits}", "digits", r"mine.yaml:8: columns.digits.under: expected options of the column's cells"),
        ("{data: digits}", "{data: [a]}", r"mine.yaml:8: columns.digits.under.data: expected one value"),
        ("{data: digits}", "{task: fer}", r"mine.yaml:8: columns.digits.under.task: a column cannot set task"),
        ("{att: ca}", "{att: ca, data: digits}", r"mine.yaml:6: rows.ca.data: column digits sets data too"),
        ("{data: digits}", "{data: digitz}", r"mine.yaml:\d+: .*digitz"),
    ],
)
def test_slips_are_named_with_their_line(here: Path, old: str, new: str, words: str) -> None:
    (here / "mine.yaml").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        Planner(here / "multirun").plan("mine")

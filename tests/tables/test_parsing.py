"""Every slip in a table's file is one line with file and line number, before anything runs."""

import re
from pathlib import Path

import pytest

from exp.options.errors import ConfigError
from exp.tables.located import read_located
from exp.tables.parsing import Parser, numbers_in
from exp.tables.plan import Planner
from exp.tables.spec import Table

GOOD = """\
title: t
sources: {paper: {file: f}}
base: {task: attention, recipe: quick}
rows:
  a: {att: none}
  b: {att: ca}
columns:
  top1: {metric: test/top1}
seeds: [0, 1, 2]
published:
  a: {source: paper, quote: "77.3 ± 0.2", top1: 77.3}
"""


def read(folder: Path, text: str) -> Table:
    path = folder / "mine.yaml"
    path.write_text(text)
    return Parser("mine", read_located(path), own=True).table()


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        (
            "seeds: [0, 1, 2]",
            "seeds: 3",
            "9: seeds: expected a list of different whole numbers such as [0, 1, 2], not 3",
        ),
        ("seeds: [0, 1, 2]", "seeds: [0, 0]", "9: seeds: expected a list of different whole numbers"),
        ("seeds: [0, 1, 2]", "seeds: [0, -1]", "9: seeds: expected a list of different whole numbers"),
        ("b: {att: ca}", "b: [att, ca]", "6: rows.b: expected options such as {att: ca}, not the list ['att', 'ca']"),
        ("b: {att: ca}", "b: att=ca", "6: rows.b: expected options such as {att: ca}, not 'att=ca'"),
        ("b: {att: ca}", "a: {att: ca}", "6: rows: a is there twice, first in line 5"),
        ("b: {att: ca}", "no: {att: ca}", "4: rows: a name is read as false; write it in quotes"),
        ("b: {att: ca}", "b: {att: ca, att: bam}", "6: rows.b: att is there twice, first in line 6"),
        ("{paper: {file: f}}", "{paper: arXiv 2010.03045}", '2: sources.paper: expected {file: "...", title: "..."}'),
        ("{paper: {file: f}}", "{paper: {fil: f}}", "2: sources.paper.fil: no such key; did you mean 'file'?"),
        (
            "top1: 77.3",
            "top1: 77.3 ± 0.2",
            "11: published.a.top1: '77.3 ± 0.2' is not a number; write {value: 77.3, sd",
        ),
        ("top1: 77.3", "top1: 77.2", '11: published.a.top1: 77.2 is not in the quote "77.3 ± 0.2"'),
        ("top1: 77.3", "top1: {value: 77.3, sd: 0.3}", "11: published.a.top1: 0.3 is not in the quote"),
        ("top1: 77.3", "top1: {value: 77.3, n: many}", "11: published.a.top1.n: expected the number of runs"),
        ("top1: 77.3", "top1: {sd: 0.2}", "11: published.a.top1: value is missing"),
        ("source: paper, ", "", "11: published.a.source: source is missing; it is one of paper"),
        ("metric: test/top1", "metric: top1", "8: columns.top1.metric: metric: 'top1' says not where it is"),
        ("metric: test/top1", "metric: tst/top1", "did you mean 'test'?"),
        ("metric: test/top1", "metric: test/top1, chance: one", "8: columns.top1.chance: 'one' is not a number"),
        ("title: t\n", "title: [t\n", "2: not YAML: "),
        (
            "rows:\n  a: {att: none}\n  b: {att: ca}\n",
            "rows: {grid: {att: none}}\n",
            "4: rows.grid.att: expected a list",
        ),
    ],
)
def test_a_slip_is_a_line_with_its_place(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    assert read(tmp_path, GOOD).rows
    assert GOOD.count(right) == 1
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(right, wrong))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/mine.yaml:")
    assert complaint in message.removeprefix(f"{tmp_path}/mine.yaml:")
    assert "\n" not in message


def test_spread_and_number_of_runs_are_kept_and_shown(tmp_path: Path) -> None:
    table = read(tmp_path, GOOD.replace("top1: 77.3", "top1: {value: 77.3, sd: 0.2, n: 5}"))
    number = table.number("a", "top1")
    assert number is not None
    assert (number.value, number.sd, number.n, number.text) == (77.3, 0.2, 5, "77.3 ± 0.2 (5)")


def test_numbers_of_a_quote() -> None:
    assert numbers_in("| CA | 3,864 | 78.91% | .52 | -0.3 |") == [3864.0, 78.91, 0.52, 0.3]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("att: ca", "att: cax", r"mine.yaml:6: row b: att=cax: no such choice; .*did you mean 'ca'\?"),
        ("att: ca", "att: none, reduction: 4", "mine.yaml:6: row b: .*nothing in this run takes it"),
        ("recipe: quick", "recipe: quik", r"mine.yaml:3: base: recipe=quik: no such choice; .*did you mean 'quick'\?"),
        ("test/top1", "test/topp1", "mine.yaml:8: column top1: no cell will report test/topp1; .*did you mean 'top1'"),
        ("test/top1", "epoch3/acc", "mine.yaml:8: column top1: no cell will report epoch3/acc"),
    ],
)
def test_what_shows_when_rows_are_composed_has_its_place_too(
    own: Path, tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    own.write_text(GOOD.replace(right, wrong))
    with pytest.raises(ConfigError, match=complaint):
        Planner(tmp_path / "multirun").plan("mine")


def test_a_row_with_something_left_to_do_says_what(own: Path, tmp_path: Path) -> None:
    own.write_text(GOOD.replace("b: {att: ca}", "b: {todo: att=ca or att=cbam}"))
    plan = Planner(tmp_path / "multirun").plan("mine")
    assert [row.problem for row in plan.rows] == ["", "mine.yaml:6: att=ca or att=cbam"]
    assert [len(row.cells) for row in plan.rows] == [3, 0]


def test_tasks_report_what_they_name() -> None:
    """By the results that are kept in the repository, of every task that has some."""
    import json
    from fnmatch import fnmatchcase

    from exp.options.catalog import TASKS

    results = Path(__file__).parents[2] / "results"
    seen = set()
    for path in results.glob("*/*.json"):
        read = json.loads(path.read_text())
        if "test" in read and "task" in read:
            seen.add(read["task"])
            for name in read["test"]:
                assert any(fnmatchcase(name, pattern) for pattern in TASKS[read["task"]].reports), (path.name, name)
    assert len(seen) >= 2
    assert re.fullmatch("nm_.*", TASKS["gait"].monitor) or TASKS["gait"].monitor in TASKS["gait"].reports

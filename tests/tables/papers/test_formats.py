"""Markdown, HTML, CSV and pasted text, and the numbers that cells print."""

from pathlib import Path

import pytest

from exp.__main__ import run
from exp.options.errors import ConfigError
from exp.tables.papers.delimited import read_delimited, read_pasted
from exp.tables.papers.files import read_tables
from exp.tables.papers.markdown import read_markdown
from exp.tables.papers.printed import PrintedNumber, number
from exp.tables.papers.shape import shape_of
from exp.tables.papers.web import read_html
from exp.tables.reading import load


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("64.60 ± 0.3", PrintedNumber(64.6, 0.3)),
        ("64.60 +/- .3 (5)", PrintedNumber(64.6, 0.3, 5)),
        ("3,864", PrintedNumber(3864.0)),
        ("25.6M", PrintedNumber(25.6, scale="M")),
        ("71.2 (+0.4)", PrintedNumber(71.2)),
        ("71.2 (5)", PrintedNumber(71.2)),
        ("78.9%", PrintedNumber(78.9)),
        ("−0.5", PrintedNumber(-0.5)),
        ("diverged", PrintedNumber(None)),
        ("OOM", PrintedNumber(None)),
        ("n/a", None),
        ("7x7", None),
        ("2020-12", None),
    ],
)
def test_numbers(text: str, printed: PrintedNumber | None) -> None:
    assert number(text) == printed


def test_markdown_with_bold_notes_links_and_escaped_pipes() -> None:
    text = "## Results on X\n\n| Method | Top-1 | Top-5 |\n|:--|--:|---|\n"
    text += "| [CA](http://x) | **64.6**[^1] | _87.2_ |\n| a\\|b | 63.1 | <u>88</u> |\n"
    (table,) = read_markdown(text)
    assert table.caption == "Results on X"
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["Method", "Top-1", "Top-5"],
        ["CA", "64.6", "87.2"],
        ["a|b", "63.1", "88"],
    ]
    assert [table.rows[1][1].bold, table.rows[2][1].bold, table.rows[2][2].underlined] == [True, False, True]
    assert table.quotes[2] == "| a\\|b | 63.1 | <u>88</u> |"


def test_a_note_mark_in_html_is_no_digit() -> None:
    """Where a table reader takes 3,864 with the note 1 for 38641."""
    text = "<table><caption>T</caption><tr><th>Method</th><th colspan=2>CULane</th></tr><tr><th></th><th>F1</th><th>Cross</th></tr>"
    text += "<tr><td rowspan=2>A</td><td><b>64.6</b></td><td>3,864<sup>1</sup></td></tr><tr><td>63.0</td>"
    text += "<td><math><mn>5</mn><annotation>\\pm 9</annotation></math></td></tr></table>"
    (table,) = read_html(text)
    squared = table.squared()
    assert table.heads == 2
    assert [[cell.text for cell in row] for row in squared.rows[2:]] == [["A", "64.6", "3,864"], ["A", "63.0", "5"]]
    shape = shape_of(table)
    assert shape is not None
    assert [column.name for column in shape.columns] == ["CULane F1", "CULane Cross"]
    assert shape.columns[0].bold == [True, False]


def test_csv_semicolons_and_pasted_columns() -> None:
    (table,) = read_delimited("att;top1\nca;64.6\n\nnone;63\n")
    assert [[cell.text for cell in row] for row in table.rows] == [["att", "top1"], ["ca", "64.6"], ["none", "63"]]
    (table,) = read_pasted("Method     Top-1   Top-5\nCA         64.6    87.2\nTriplet attention   65.0  87.9\n")
    shape = shape_of(table)
    assert shape is not None
    assert shape.names == ["CA", "Triplet attention"]
    assert [one.value for one in shape.columns[1].numbers if one] == [87.2, 87.9]


def test_two_numbers_in_a_cell_are_two_columns() -> None:
    (table,) = read_markdown("| Method | Top-1 / Top-5 |\n|---|---|\n| CA | 64.6 / 87.2 |\n| SE | 63.1 / 86.0 |\n")
    shape = shape_of(table)
    assert shape is not None
    assert [column.name for column in shape.columns] == ["Top-1", "Top-5"]
    assert [one.value for one in shape.columns[1].numbers if one] == [87.2, 86.0]


def test_files_that_hold_no_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("no table\n")
    with pytest.raises(ConfigError, match="a.md: there is no table in it"):
        read_tables(tmp_path / "a.md")
    with pytest.raises(ConfigError, match="paste the table's text into a .txt file"):
        read_tables(tmp_path / "a.pdf")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tables(tmp_path / "b.csv")


RUNS = """Name,State,Runtime,config.att,config.lr,seed,test/top1,test/loss
a,finished,12,none,0.1,0,94.1,0.21
b,finished,12,none,0.1,1,94.3,0.22
c,finished,12,none,0.1,2,94.0,0.20
d,finished,12,ca,0.1,0,95.1,0.19
e,finished,12,ca,0.1,1,95.4,0.18
f,finished,12,ca,0.1,2,95.2,0.185
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_of_another_tool_get_statistics_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "runs.csv").write_text(RUNS)
    assert run(["table", "new", "runs.csv"]) == 0
    out = capsys.readouterr().out
    assert "6 runs, made elsewhere" in out
    assert "95.23 ± 0.15 (3)" in out
    assert "better" in out
    number = load("runs").number("ca", "test/top1")
    assert number is not None
    assert (round(number.value or 0, 2), number.n) == (95.23, 3)
    assert load("runs").rows["ca"].overrides == {"att": "ca"}


def test_a_run_that_is_there_twice_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "runs.csv").write_text(RUNS + "g,finished,12,ca,0.1,2,95.2,0.185\n")
    assert run(["table", "new", "runs.csv"]) == 2
    assert "runs.csv:8: ca with seed 2 is there twice; rows are told apart by config.att" in capsys.readouterr().err
    assert not (here / "runs.yaml").exists()


def test_a_sweep_becomes_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "att=none,ca kernel_size=7 seed=0,1,2 width=4"
    assert run(["table", "new", "--from-sweep", words.replace(" kernel_size=7", "")]) == 0
    table = load("sweep")
    assert table.seeds == (0, 1, 2)
    assert table.base == {"task": "attention", "width": 4}
    assert {name: row.overrides for name, row in table.rows.items()} == {"none": {"att": "none"}, "ca": {"att": "ca"}}
    assert list(table.columns) == ["top1", "top5", "loss", "params"]
    assert run(["table", "new", "--from-sweep", "seed=0,1", "--out", "other.yaml"]) == 2
    assert "nothing varies but seeds" in capsys.readouterr().err
    assert run(["table", "new", "--from-sweep", "nowhere"]) == 2
    assert "no such folder of cells" in capsys.readouterr().err


def test_a_csv_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("name,top1\nca," + "9" * 200_000 + "\n")
    with pytest.raises(ConfigError, match=r"runs\.csv: line 2: field larger than field limit"):
        read_tables(path)

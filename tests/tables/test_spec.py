import os
import re
from pathlib import Path

import pytest

from exp.options.catalog import ConfigError
from exp.options.folders import conf_dir
from exp.options.words import spelt
from exp.tables import reading
from exp.tables.reading import load, names
from exp.tables.spec import Number, Table

SOURCES = os.environ.get("EXP_TEST_SOURCES")
WANTED = [
    "modules",
    "activation",
    "gate",
    "pool",
    "kernel",
    "reduction",
    "fusion",
    "ca_axes",
    "epochs",
    "demo",
    "step2",
]
WANTED += ["gait", "gait_layouts", "gait_order", "lane", "lane_criteria", "lane_switches", "fer"]


def plain(text: str) -> str:
    """Text without emphasis, rules and repeated blanks, in which a quote is looked for."""
    return re.sub(r"[\s*|`]+", " ", text)


def quotes(table: Table) -> list[tuple[str, str, list[float]]]:
    """Source, quote and the numbers it has to hold, of everything in a table that has a source."""
    found = [(one.source, one.quote, [] if one.value is None else [one.value]) for one in table.published]
    found += [(one.source, one.quote, [one.bound.value] if one.bound else []) for one in table.claims if one.source]
    for one in table.columns.values():
        if one.source:
            found.append((one.source, one.quote, [b.value for b in (one.passes, one.fails) if b]))
    return found


def test_every_table_of_the_plan_is_there() -> None:
    assert [name for name in names() if name in WANTED] == WANTED


@pytest.mark.parametrize("name", names())
def test_a_table_is_whole(name: str) -> None:
    table = load(name)
    assert table.title
    assert table.sources
    assert len(table.seeds) >= 3
    for one in table.sources.values():
        assert one.file


@pytest.mark.parametrize("name", names())
def test_every_number_stands_in_its_quote(name: str) -> None:
    for source, quote, wanted in quotes(load(name)):
        assert quote, (name, source)
        there = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", quote)]
        for value in wanted:
            assert value in there, (name, value, quote)


EXCERPTS = Path(__file__).parent / "excerpts"
"""The quoted lines of each document, and of the pages through which others are known second hand."""


def document(table: Table, source: str) -> str:
    """The file in which a source's quotes are looked for: itself, or the page through which it is known."""
    return (table.sources[source].via or table.sources[source].file).replace("/", "-")


@pytest.mark.parametrize("name", names())
def test_every_quote_stands_in_its_source(name: str) -> None:
    """In the committed excerpts, which are the quoted lines alone."""
    table = load(name)
    for source, quote, _ in quotes(table):
        path = EXCERPTS / document(table, source)
        assert path.is_file(), f"{path.name} is no excerpt; a source that is known second hand says through which page"
        for part in quote.split(" ... "):
            assert plain(part).strip() in plain(path.read_text()), (name, path.name, part)


@pytest.mark.parametrize("name", names())
def test_numbers_say_what_they_were_measured_on(name: str) -> None:
    table = load(name)
    for one in table.published:
        assert "data" in table.on(one.row), (name, one.row, "measured_on names no data")


@pytest.mark.skipif(SOURCES is None, reason="EXP_TEST_SOURCES names no folder with the source documents")
@pytest.mark.parametrize("path", sorted(EXCERPTS.iterdir()), ids=lambda path: path.name)
def test_excerpts_are_lines_of_the_documents(path: Path) -> None:
    wholes = [one.read_text().splitlines() for one in Path(str(SOURCES)).rglob(path.name)]
    assert wholes, f"{path.name} is not in {SOURCES}"
    for line in path.read_text().splitlines():
        assert any(line in whole for whole in wholes), line


def test_excerpts_are_short() -> None:
    assert all(len(path.read_text().splitlines()) <= 60 for path in EXCERPTS.iterdir())


def test_unknown_table_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no such table.*did you mean 'modules'"):
        load("module")


GOOD = "title: t\nbase: {task: attention}\nrows: {a: {att: none}, b: {att: ca}}\ncolumns: {top1: {metric: test/top1}}\n"


def read(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Table:
    (tmp_path / "table").mkdir(exist_ok=True)
    (tmp_path / "table" / "mine.yaml").write_text(text)
    monkeypatch.setattr(reading, "conf_dir", lambda: tmp_path)
    monkeypatch.setattr(reading, "conf_dirs", lambda: [tmp_path])
    return load("mine")


def test_the_shortest_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read(tmp_path, GOOD, monkeypatch)
    assert table.reference == "a"
    assert table.varied == ["att"]
    assert table.number("a", "top1") is None


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("colums: {}\n", "colums: no such key; did you mean 'columns'"),
        ("reference: c\n", "c is not one of a, b"),
        ("published: {a: {source: x, top1: 1}}\n", "published.a.source: x is not one of"),
        ("sources: {x: {file: f}}\npublished: {a: {source: x, top9: 1}}\n", "top9 is not one of top1"),
        ("sources: {x: {file: f}}\npublished: {c: {source: x, top1: 1}}\n", "c is not one of a, b"),
        ("sources: {x: {file: f}}\npublished: {a: {source: x, outcome: lost}}\n", "outcome is failed or a number"),
        ("claims: [{text: t, order: a > z}]\n", "z is not one of a, b"),
        ("claims: [{text: t, order: a > b, row: a}]\n", "give either order"),
        ("claims: [{text: t, row: a, bound: '~ 3'}]\n", "is no bound"),
        ("claims: [{text: t, row: a, bound: '< x'}]\n", "is no bound"),
        ("rows: [a\n", "not YAML"),
    ],
)
def test_a_malformed_table_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        read(tmp_path, GOOD + more, monkeypatch)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_grid_makes_a_row_a_combination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = "rows: {grid: {att: [none, ca], seed_noise: [1, 2]}}\n"
    table = read(tmp_path, GOOD.replace("rows: {a: {att: none}, b: {att: ca}}\n", grid), monkeypatch)
    assert list(table.rows) == ["none 1", "none 2", "ca 1", "ca 2"]
    assert table.rows["ca 2"].overrides == {"att": "ca", "seed_noise": 2}


def test_values_are_spelt_as_hydra_takes_them() -> None:
    assert [spelt(v) for v in (None, True, 3, "avg+max", [1, 2], "(n h) s c")] == [
        "null",
        "true",
        "3",
        "avg+max",
        "[1,2]",
        "'(n h) s c'",
    ]


def test_order_file_names_tables_that_exist() -> None:
    listed = (conf_dir() / "table" / "order.txt").read_text().split()
    assert set(listed) <= {path.stem for path in (conf_dir() / "table").glob("*.yaml")}


def test_a_published_mean_has_the_decimals_of_its_spread() -> None:
    texts = [
        Number("a", "top1", value, "", "paper", sd=sd, n=n).text
        for value, sd, n in [
            (78.0, 0.3, 5),
            (78.0, None, None),
            (0.125, 0.1, None),
            (None, None, None),
            (1e-4, None, 2),
        ]
    ]
    assert texts == ["78.0 ± 0.3 (5)", "78", "0.125 ± 0.100", "failed", "0.0001 (2)"]

"""Tables of five papers' forms, from LaTeX to a table that plans at once."""

from pathlib import Path

import pytest

pytest.importorskip("pylatexenc", reason="pylatexenc is not installed")

from exp.__main__ import run
from exp.tables.papers.files import read_tables
from exp.tables.papers.shape import Shape, shape_of
from exp.tables.papers.study import study_of
from exp.tables.plan import Planner
from exp.tables.reading import load
from tests.tables.papers import five


def shape(folder: Path, text: str) -> Shape:
    path = folder / "paper.tex"
    path.write_text(text)
    (table,) = read_tables(path)
    parts = shape_of(table)
    assert parts is not None
    return parts


def values(parts: Shape) -> dict[str, list[float | None]]:
    return {column.name: [one.value if one else None for one in column.numbers] for column in parts.columns}


def content(folder: Path, text: str) -> dict:
    return study_of(shape(folder, text), Path("paper.tex"), "").content


def test_groups_notes_macros_and_spreads(tmp_path: Path) -> None:
    parts = shape(tmp_path, five.MODULES)
    assert parts.caption.startswith("Attention modules on CIFAR-100")
    assert (
        values(parts)
        == {
            "Accuracy Top-1": [71.2, 72.05, 72.4, 72.66],
            "Accuracy Top-5": [90.4, 91.0, 91.9, 91.7],
            "Cost Params": [23.71, 26.22, 26.24, 23.71],
            "Cost MACs": [1.31, 1.31, 1.32, 1.36],
        }
        | {}
    )
    assert [one.sd for one in parts.columns[0].numbers if one] == [0.31, 0.22, 0.4, 0.18]
    made = content(tmp_path, five.MODULES)
    assert made["base"] == {"task": "attention", "recipe": "published", "data": "cifar100", "model": "resnet50"}
    assert list(made["rows"].values()) == [{"att": "none"}, {"att": "se"}, {"att": "cbam"}, {"att": "triplet"}]
    assert made["columns"]["Accuracy Top-1"] == {"metric": "test/top1", "unit": "%"}
    assert made["columns"]["Cost Params"] == {"metric": "result/params", "unit": "M", "better": "lower", "per": 1000000}
    assert made["columns"]["Cost MACs"]["per"] == 1000000000
    claims = {claim["text"]: claim["order"] for claim in made["claims"]}
    best = next(text for text in claims if "Top-1" in text)
    assert "Triplet" in best
    assert claims[best].count(",") == 2


def test_data_sets_as_columns(tmp_path: Path) -> None:
    made = content(tmp_path, five.TWO_SETS)
    assert made["base"] == {"task": "attention", "recipe": "published", "model": "resnet18"}
    assert made["columns"]["CIFAR-10"] == {"under": {"data": "cifar10"}, "metric": "test/top1"}
    assert made["columns"]["CIFAR-100"] == {"under": {"data": "cifar100"}, "metric": "test/top1"}
    assert made["columns"]["Params"]["under"] == {"data": "cifar10"}, "counts are of the first"
    assert made["published"]["SE"]["CIFAR-100"] == 72.0
    assert {claim["text"]: claim["order"] for claim in made["claims"]} == {
        "CA is the best by CIFAR-10": "CA > Vanilla, SE",
        "SE is the best by CIFAR-100": "SE > Vanilla, CA",
    }


def test_headings_between_rows_and_models(tmp_path: Path) -> None:
    made = content(tmp_path, five.BACKBONES)
    names = list(made["rows"])
    assert made["rows"][names[0]] == {"model": "van_b0"}
    assert "todo" in made["rows"][names[1]]
    assert made["rows"][names[2]] == {"model": "van_b1"}
    assert made["rows"][names[3]] == {"model": "resnet18"}
    assert made["published"][names[2]]["Top-1 Acc"] == 81.03
    assert made["base"]["data"] == "imagenet"


def test_errors_are_no_accuracies_and_bold_switches(tmp_path: Path) -> None:
    made = content(tmp_path, five.BLOCKS)
    assert [row.get("att") for row in made["rows"].values()] == ["none", "se", "bam", "cbam"]
    last = list(made["rows"].values())[3]
    assert "todo" in last or "kernel_size" in last, "k may be a kernel's size; nothing is guessed"
    column = made["columns"]["Top-1 Error"]
    assert "metric" not in column
    assert column["better"] == "lower"
    assert "test/top1" in column["todo"]
    assert len(made["claims"]) == 2


def test_walks_and_what_failed(tmp_path: Path) -> None:
    made = content(tmp_path, five.WALKS)
    assert made["base"]["task"] == "gait"
    assert [row.get("model") for row in made["rows"].values()] == ["baseline", "convlstm", "partlstm", None]
    assert [column.get("metric") for column in made["columns"].values()] == [
        "test/nm_r1",
        "test/bg_r1",
        "test/cl_r1",
        "test/mean_r1",
    ]
    assert made["published"]["GaitWhatever"]["outcome"] == "failed"


def test_lanes_with_thousands(tmp_path: Path) -> None:
    made = content(tmp_path, five.LANES)
    assert made["base"] == {"task": "lane", "recipe": "published", "data": "culane"}
    metrics = {name: column.get("metric") for name, column in made["columns"].items()}
    assert metrics["F1@50"] == "test/f1_50"
    assert metrics["Cross"] == "test/fp_cross"
    assert metrics["FPS"] is None
    assert made["published"]["LaneLM"]["Cross"] == 1034
    assert "todo" in made["rows"]["SCNN"]


@pytest.mark.parametrize("name", ["MODULES", "BACKBONES", "BLOCKS", "WALKS", "LANES"])
def test_what_is_written_plans_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.tex").write_text(getattr(five, name))
    assert run(["table", "new", "paper.tex"]) == 0
    said = capsys.readouterr().out
    plan = Planner(tmp_path / "multirun").plan("paper")
    for row in plan.rows:
        assert row.cells or f"to do: row {row.row.name}: " in said
        assert bool(row.cells) == (not row.problem)
    assert any(row.cells for row in plan.rows)
    assert all(number.quote for number in plan.table.published)
    assert run(["table", "paper"]) == 0
    before = (tmp_path / "paper.yaml").read_text()
    assert run(["table", "new", "paper.tex"]) == 2
    assert "paper.yaml: is there already" in capsys.readouterr().err
    assert (tmp_path / "paper.yaml").read_text() == before


def test_several_tables_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.tex").write_text(five.LANES + five.WALKS)
    assert run(["table", "new", "paper.tex"]) == 2
    error = capsys.readouterr().err
    assert "say which by --table N: 1: State of the art on CULane (3 rows, 6 columns); 2: without a caption" in error
    assert error.count("\n") == 1
    assert run(["table", "new", "paper.tex", "--table", "2"]) == 0
    assert load("paper-2").base["task"] == "gait"

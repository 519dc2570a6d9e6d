"""The pictures of docs/findings.md show what lies in results/, and are as docs/figures/draw.py draws them today."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "results"


@pytest.fixture(scope="module")
def draw() -> Any:
    spec = importlib.util.spec_from_file_location("draw_figures", FIGURES / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def column(name: str, metric: str) -> dict[str, Any]:
    rows = json.loads((RESULTS / name).read_text())["rows"]
    return {row["row"]: row for row in rows if row["metric"] == metric}


def points(axes: Any) -> list[float]:
    """Where the dots of a panel lie, from left to right."""
    return sorted(float(x) for line in axes.lines if line.get_marker() in ("o", "s") for x in line.get_xdata())


def test_the_pictures_are_drawn_again_with_the_same_words_and_numbers(draw: Any, tmp_path: Path) -> None:
    draw.draw(tmp_path)

    def words(path: Path) -> list[str]:
        return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())

    names = sorted(path.name for path in FIGURES.glob("*.svg"))
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert sorted(words(FIGURES / name)) == sorted(words(tmp_path / name)), "python docs/figures/draw.py"
        assert len(words(FIGURES / name)) > 20


def test_every_seed_is_a_dot(draw: Any) -> None:
    gait = draw.gait()
    drawn = points(gait.axes[0])
    rows = column("gait_order/tempo.json", "NM@R1")
    assert len(drawn) == 21
    assert drawn == sorted(
        x for name in rows if name == "baseline" or name.endswith(" max") for x in draw.seeds(rows[name])
    )
    for axes, metric in zip(draw.lanes().axes, ("loss", "F1@50"), strict=True):
        rows = column("lane_criteria/roads_overfit1.json", metric)
        assert points(axes) == sorted(x for row in rows.values() for x in row["values"].values())
    cells = [json.loads(path.read_text()) for path in (RESULTS / "fer").glob("deepcnn-*.json")]
    drawn = points(draw.faces().axes[1])
    assert {cell["test"]["top1"] for cell in cells} | {cell["test"]["top1_unique"] for cell in cells} <= set(drawn)


def test_every_row_that_has_an_interval_is_drawn_with_it(draw: Any) -> None:
    tables = ["gate/table", "activation/table", "pool/table", "kernel/table", "reduction/table"]
    tables += ["fusion/table", "ca_axes/table", "placement/table", "modules/table"]
    rows = [row for name in tables for row in column(f"{name}.json", "top1").values() if row["interval"]]
    (axes,) = draw.blocks().axes
    bars = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    assert bars == [tuple(row["interval"]) for row in rows]
    assert points(axes) == sorted(row["difference"] for row in rows)
    full = [line for line in axes.lines if line.get_marker() != "None" and line.get_markerfacecolor() != "white"]
    decided = {row["row"] for row in rows if row["verdict"] in ("better", "worse", "the same within")}
    assert decided == {"tanh", "softmax_branch", "between stages"}
    assert len(full) == 3


def test_the_source_of_notebook_002_is_drawn_as_its_table_has_it(draw: Any) -> None:
    assert draw.read_claims() == {"cnn": (52, 70), "deepcnn": (97, 58), "resnet_cbam": (60, 60)}

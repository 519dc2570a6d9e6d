"""exp from Python: how tables, figures and cells show themselves in a notebook."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

import exp
from exp.tables.plan import Planner
from exp.tables.reading import canonical
from tests.tables.cells import finish

TABLE = """
title: A <b>bold</b> & small table
base: {task: attention, recipe: quick}
rows:
  none: {att: none}
  <i>se: {att: se}
reference: none
seeds: [0]
columns:
  top1: {metric: test/top1}
"""


def test_a_table_shows_itself_escaped_and_its_figures(tmp_path: Path) -> None:
    path, words = tmp_path / "mine.yaml", [f"cells.dir={tmp_path}/multirun"]
    path.write_text(TABLE)
    for one in Planner(tmp_path / "multirun").plan(canonical(str(path)), words).cells:
        finish(one, test={"top1": 90.0})
    table = exp.table(str(path), *words)
    html = table._repr_html_()
    assert "A &lt;b&gt;bold&lt;/b&gt; &amp; small table" in html
    assert "&lt;i&gt;se" in html
    assert "90.00" in html
    assert not [tag for tag in ("<script", "<style", "<i>", "<b>") if tag in html]
    figures = table.figures()
    assert "top1 against epoch, evaluation" in [figure.title for figure in figures]
    assert ElementTree.fromstring(figures[0]._repr_svg_()).tag.endswith("svg")
    assert [file.suffix for file in figures[0].save(tmp_path / "drawn")] == [".svg", ".pdf"]


def test_cells_show_themselves_escaped(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="needs pandas: pip install 'exp-tables[notebook]'")
    folder = tmp_path / "attention" / "<b>cell"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"seed": 0, "config": {}}')
    html = exp.cells(tmp_path)._repr_html_()
    assert "&lt;b&gt;cell" in html
    assert "<b>cell" not in html

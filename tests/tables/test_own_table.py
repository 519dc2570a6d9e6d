"""A table of the user's own, with a block of the user's own: nothing of exp is edited."""

from pathlib import Path

import pytest

from exp.options.catalog import ConfigError
from exp.tables.plan import Planner
from exp.tables.reading import load, names

TABLE = """
title: mine
base: {task: attention, recipe: quick}
rows:
  none: {att: none}
  mine: {att: custom, att.target: "own:Block"}
reference: none
seeds: [0]
columns:
  top1: {metric: test/top1}
"""


def test_a_table_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_table.yaml").write_text(TABLE)
    (tmp_path / "own.py").write_text("class Block: pass\n")
    load.cache_clear()
    table = load("own_table")
    assert table.title == "mine"
    assert "own_table" not in names()
    plan = Planner(tmp_path / "multirun").plan("own_table", [])
    cells = [cell for row in plan.rows for cell in row.cells]
    assert len(cells) == 2
    assert not plan.problem
    with pytest.raises(ConfigError, match="no such table"):
        load("other_table")

"""exp pack: which cells its words mean."""

from pathlib import Path

import pytest

from exp.commands.pack import selected
from exp.options.errors import ConfigError

TABLE = """
title: Mine
base: {task: attention, recipe: quick}
rows: {none: {att: none}, se: {att: se}}
columns: {acc: {metric: test/top1}}
seeds: [0, 1]
"""


def test_a_table_of_ones_own_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(TABLE)
    by_name, by_file = selected(["mine"]), selected(["mine.yaml"])
    assert len(by_name) == 4
    assert [cell.path for cell in by_name] == [cell.path for cell in by_file]
    with pytest.raises(ConfigError, match="yours: neither a table nor a folder of cells"):
        selected(["yours"])

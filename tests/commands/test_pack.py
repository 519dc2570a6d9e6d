"""exp pack: which cells its words mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from exp.__main__ import run
from exp.cells.files import write_json
from exp.commands.pack import selected
from exp.options.errors import ConfigError
from exp.tables.choices import take
from exp.tables.reading import load
from tests.tables.cells import QUICK, compared

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
    (by_name, _), (by_file, _) = selected(["mine"]), selected(["mine.yaml"])
    assert len(by_name) == 4
    assert [cell.path for cell in by_name] == [cell.path for cell in by_file]
    with pytest.raises(ConfigError, match="yours: neither a table nor a folder of cells"):
        selected(["yours"])


def test_choices_travel_with_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*QUICK, "seed=0,1"]
    for table, best in (("activation", -1), ("gate", 0)):
        names = list(load(table).rows)
        compared(tmp_path / "multirun", table, words, {n: [90.0, 98.0 if n == names[best] else 91.0] for n in names})
    for path in Path("multirun").glob("*/*/result.json"):  # what a run adds and merging asks for
        write_json(path, json.loads(path.read_text()) | {"key": path.parent.name[-10:]})
    assert run(["pack", "gate", *words]) == 0
    (tmp_path / "multirun").rename(tmp_path / "there")  # the table of activations is not at hand
    assert run(["merge", "cells.zip"]) == 0
    capsys.readouterr()
    shown = [
        run(["table", "gate", "--format", "json", *words, f"cells.dir={root}"]) or json.loads(capsys.readouterr().out)
        for root in ("there", "multirun")
    ]
    assert shown[0]["rows"] == shown[1]["rows"]
    kept = json.loads(Path("multirun/tables.json").read_text())
    ((key, chosen),) = kept["gate"]["choices"].items()
    assert key.startswith("activation")
    kept["gate"]["choices"][key] = chosen | {"value": "relu"}
    Path("multirun/tables.json").write_text(json.dumps(kept))
    assert run(["merge", "cells.zip"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"table gate: activation=relu here, {chosen['value']} there; the choice made here is kept"
    assert json.loads(Path("multirun/tables.json").read_text()) == kept


@pytest.mark.parametrize(
    "theirs",
    [
        None, [], {"gate": 1}, {"gate": {"choices": [1]}}, {"gate": {"choices": {"activation": "elu"}}},
        {"gate": {"choices": {"activation": {"value": "elu att.target=x:Y", "table": "activation", "scores": {}}}}},
        {"gate": {"choices": {"activation": {"value": "elu", "table": "activation", "scores": {"elu": "high"}}}}},
        {"../gate": {"choices": {"activation": {"value": "elu", "table": "activation", "scores": {}}}}},
    ],
)  # fmt: skip
def test_choices_of_another_form_are_left_out(theirs: Any, tmp_path: Path) -> None:
    assert take(tmp_path, theirs) == []
    assert "value" not in "".join(path.read_text() for path in tmp_path.iterdir())

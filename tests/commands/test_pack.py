"""exp pack: which cells its words mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from exp.__main__ import run
from exp.cells.files import write_json
from exp.commands.pack import selected
from exp.options.errors import ConfigError
from exp.tables import looks
from exp.tables.choices import take
from exp.tables.looks import Schedule
from exp.tables.plan import Planner
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
    last, following = capsys.readouterr().out.splitlines()[-2:]
    assert following == f"Next: exp table gate {' '.join(sorted(QUICK))} seed=0,1", "as it was run there"
    assert last == f"table gate: activation=relu here, {chosen['value']} there; the choice made here is kept"
    assert json.loads(Path("multirun/tables.json").read_text()) == kept


def test_looks_travel_with_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*QUICK, "seed=0,1,2"]
    there = tmp_path / "multirun"
    plan = Planner(there).plan("modules", words)
    names = list(load("modules").rows)
    grown = names[:2]
    looks.keep(there, "modules", plan.given, Schedule((3, 6, 12, 24), dict.fromkeys(grown, 6), 40, "the end"))
    compared(there, "modules", words, {name: [90.0 + n / 9, 91.0, 91.5] * 2 for n, name in enumerate(names)})
    for path in there.glob("*/*/result.json"):
        write_json(path, json.loads(path.read_text()) | {"key": path.parent.name[-10:]})
    assert run(["pack", "modules", *words]) == 0
    assert run(["export", "modules", *words, "--out", "out"]) == 0
    there.rename(tmp_path / "there")
    assert run(["merge", "cells.zip"]) == 0
    capsys.readouterr()
    shown = [
        run(["table", "modules", "--format", "json", *words, f"cells.dir={root}"])
        or json.loads(capsys.readouterr().out)
        for root in ("there", "multirun", "out/cells")
    ]
    assert len(next(row["values"] for row in shown[0]["rows"] if row["row"] == grown[0])) == 6
    assert shown[0]["looks"]
    assert all(one["rows"] == shown[0]["rows"] and one["looks"] == shown[0]["looks"] for one in shown)
    looks.keep(tmp_path / "multirun", "modules", plan.given, Schedule((3, 6, 12, 24)))
    assert run(["merge", "cells.zip"]) == 0
    assert capsys.readouterr().out.splitlines()[-2] == (
        "table modules: seeds were added to other rows there, or at other looks; its schedule here is kept"
    )


SCHEDULE = {"sizes": [3, 6, 12, 24], "rows": {"none": 6}, "budget": None, "ended": ""}


@pytest.mark.parametrize(
    "theirs",
    [
        None, [], {"gate": 1}, {"gate": {"looks": [1]}}, {"gate": {"looks": {"": 1}}}, {"../gate": {"looks": {"": SCHEDULE}}},
        *({"gate": {"looks": {"": SCHEDULE | wrong}}} for wrong in (
            {"sizes": [3, 6]}, {"sizes": [6, 3, 12, 24]}, {"sizes": 3}, {"rows": {"none": "6"}}, {"rows": {"none": 0}},
            {"rows": []}, {"budget": "40"}, {"ended": "\x1b[2J"}, {"ended": 1}, {"more": 1},
        )),
    ],
)  # fmt: skip
def test_looks_of_another_form_are_left_out(theirs: Any, tmp_path: Path) -> None:
    assert looks.take(tmp_path, theirs) == []
    assert "sizes" not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert looks.take(tmp_path, {"gate": {"looks": {"": SCHEDULE}}}) == []
    assert "sizes" in (tmp_path / "tables.json").read_text()


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

import json
from pathlib import Path

import pytest

from exp.commands.diff import differing, flat, lines, load
from exp.options.catalog import ConfigError

FIRST = {
    "config": {"att": {"name": "ca", "reduction": 32}, "seed": 0},
    "test": {"top1": 97.5, "loss": 0.1},
    "params": 1000,
    "macs": 5,
}
SECOND = {
    "config": {"att": {"name": "triplet", "kernel_size": 7}, "seed": 0},
    "test": {"top1": 98.25, "loss": 0.1},
    "params": 1300,
    "macs": 5,
}


def test_differences_in_choices_then_results() -> None:
    said = [line.split() for line in lines(differing(FIRST, SECOND))]
    assert said == [
        ["att.name", "ca", "triplet"],
        ["att.reduction", "32", "-"],
        ["att.kernel_size", "-", "7"],
        ["test.top1", "97.5", "98.25"],
        ["params", "1,000", "1,300"],
    ]
    assert lines(differing(FIRST, FIRST)) == ["no difference"]


def test_flat() -> None:
    assert flat({"a": {"b": 1}, "c": [2]}) == {"a.b": 1, "c": [2]}


def test_a_cell_is_found_by_directory_or_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = tmp_path / "multirun" / "attention" / "x-0123456789"
    cell.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="neither result.json nor config.json"):
        load("0123456789")
    (cell / "config.json").write_text(json.dumps({"config": {"seed": 1}}))
    assert load("0123456789") == load(str(cell)) == {"config": {"seed": 1}}
    (cell.parent / "y-1123456789").mkdir()
    with pytest.raises(ConfigError, match="3456789: 2 cells have names that end so, such as multirun.attention.x-01"):
        load("3456789")
    with pytest.raises(ConfigError, match=r"\*: no such folder"):
        load("*")

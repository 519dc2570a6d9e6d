"""Cells packed, merged and exported: nothing lost, nothing overwritten, nothing let out of the folder."""

import json
import zipfile
from pathlib import Path

import pytest

from exp.cells.bundle import cells_below, export, merge, pack, without_machine
from exp.options.errors import ConfigError

RESULT = {"task": "fer", "key": "0123456789", "seed": 0, "test": {"top1": 50.0}, "weights_sha256": "a", "host": "me"}


def cell(root: Path, key: str = "0123456789", **more: object) -> Path:
    path = root / "fer" / f"net-s0-{key}"
    path.mkdir(parents=True)
    (path / "result.json").write_text(json.dumps(RESULT | {"key": key} | more))
    (path / "metrics.jsonl").write_text('{"split": "test"}\n')
    (path / "best.ckpt").write_bytes(b"weights")
    (path / "log.txt").write_text("log")
    return path


def test_there_and_back(tmp_path: Path) -> None:
    cell(tmp_path / "a")
    cell(tmp_path / "a", key="1123456789")
    assert pack(cells_below(tmp_path / "a"), tmp_path / "cells.zip") == 2
    assert [one.became for one in merge(tmp_path / "cells.zip", tmp_path / "b")] == ["new", "new"]
    there = tmp_path / "b" / "fer" / "net-s0-0123456789"
    assert sorted(path.name for path in there.iterdir()) == ["metrics.jsonl", "result.json"]
    assert json.loads((there / "result.json").read_text()) == RESULT
    assert [one.became for one in merge(tmp_path / "a", tmp_path / "b")] == ["same", "same"]
    pack(cells_below(tmp_path / "a"), tmp_path / "cells.zip", checkpoints=True)
    list(merge(tmp_path / "cells.zip", tmp_path / "c"))
    assert (tmp_path / "c" / "fer" / "net-s0-0123456789" / "best.ckpt").read_bytes() == b"weights"


def test_the_same_cell_from_two_machines_is_compared_and_ours_is_kept(tmp_path: Path) -> None:
    ours = cell(tmp_path / "a")
    cell(tmp_path / "b", weights_sha256="b", host="you")
    assert [one.became for one in merge(tmp_path / "b", tmp_path / "a")] == ["equal"]
    cell(tmp_path / "c", weights_sha256="c", test={"top1": 51.0})
    merged = list(merge(tmp_path / "c", tmp_path / "a"))
    assert (merged[0].became, merged[0].text) == ("differs", "top1 50.0 here, 51.0 there")
    assert json.loads((ours / "result.json").read_text())["host"] == "me"


def test_a_cell_that_runs_here_is_left_alone(tmp_path: Path) -> None:
    cell(tmp_path / "b")
    here = tmp_path / "a" / "fer" / "net-s0-0123456789"
    here.mkdir(parents=True)
    (here / "lock").write_text("{}")
    assert [one.became for one in merge(tmp_path / "b", tmp_path / "a")] == ["kept"]
    assert not (here / "result.json").exists()


@pytest.mark.parametrize(
    "name", ["../x/result.json", "/fer/x/result.json", "fer/../result.json", "fer/x/run.py", "fer/x/y/result.json"]
)
def test_a_packed_file_of_a_stranger_writes_nowhere_else(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(ConfigError, match="is no file of a cell"):
        list(merge(tmp_path / "evil.zip", tmp_path / "a"))
    assert not (tmp_path / "a").exists()
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(ConfigError, match="neither a folder of cells nor a packed file"):
        list(merge(tmp_path / "text.zip", tmp_path / "a"))


def test_export_names_no_machine(tmp_path: Path) -> None:
    cell(tmp_path / "a", command="exp data.root=/home/me/x", config={"data": {"root": "/home/me/x", "flip": 0.5}},
         overrides=["data.root=/home/me/x", "seed=1"])  # fmt: skip
    assert export(cells_below(tmp_path / "a"), tmp_path / "out") == 1
    text = (tmp_path / "out" / "fer" / "net-s0-0123456789" / "result.json").read_text()
    assert "/home" not in text
    assert '"host"' not in text
    assert json.loads(text)["config"]["data"] == {"root": None, "flip": 0.5}
    assert json.loads(text)["overrides"] == ["data.root=...", "seed=1"]
    assert without_machine({"a": ["~/x", "b"]}) == {"a": [None, "b"]}

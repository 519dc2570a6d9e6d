import json
import math
import os
from pathlib import Path

import pytest

from exp.cells.cell import Cell
from exp.cells.files import finite, read_json, write_json
from exp.cells.provenance import code_of, git_state, provenance
from exp.options.compose import resolved


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell.of(resolved(["att=triplet", "kernel_size=3"]), tmp_path)


def test_a_list_of_numbers_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {"rows": [[1, -2.5e-07], [None, 3]], "words": ["[\n 1,\n 2\n]", "b"], "none": [], "one": [{"a": [0]}]}
    write_json(path, value)
    assert read_json(path) == value
    assert "    [ 1, -2.5e-07 ],\n    [ null, 3 ]\n" in path.read_text()


def test_write_json_is_whole_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_numbers_json_cannot_hold_become_null() -> None:
    assert finite({"a": [math.nan, 1.0], "b": (math.inf,)}) == {"a": [None, 1.0], "b": [None]}


def test_a_cells_directory_is_found_by_its_key(cell: Cell) -> None:
    elsewhere = cell.path.with_name(f"renamed-{cell.resolved.key}")
    elsewhere.mkdir(parents=True)
    assert Cell.of(cell.resolved, cell.root).path == elsewhere


def test_the_folder_is_listed_once_for_all_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else ten thousand cells take minutes to look up: each listing grows with them."""
    one = resolved(["att=triplet"])
    cells = [one.seeded(seed, [f"seed={seed}"]) for seed in range(50)]
    for made in cells[::2]:
        Cell.of(made, tmp_path).path.mkdir(parents=True)
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail(f"{path} is looked through"))
    assert len({Cell.of(made, tmp_path).path for made in cells}) == 50
    assert len(listed) <= 1
    monkeypatch.undo()
    renamed = Cell.of(cells[1], tmp_path).path.with_name(f"renamed-{cells[1].key}")
    renamed.mkdir()
    assert Cell.of(cells[1], tmp_path).path == renamed


def test_a_look_at_a_result_sees_what_is_written_anew(cell: Cell) -> None:
    cell.path.mkdir(parents=True)
    for content in ("a", "b"):
        cell.write_result({"data_fingerprint": content})
        assert cell.fingerprint() == content
        assert cell.status()["state"] == "done"
    (cell.path / "result.json").unlink()
    assert cell.status()["state"] == "waiting"


def test_states(cell: Cell) -> None:
    assert cell.status()["state"] == "waiting"
    lock = cell.open()
    cell.write_status("running", attempt=1)
    assert cell.status()["state"] == "running"
    lock.release()
    assert cell.status()["state"] == "waiting", "a running status without a living lock is an interrupted cell"
    cell.write_status("failed", error="why")
    assert cell.status()["state"] == "failed"
    assert cell.status()["attempt"] == 1
    cell.write_result({"test": {}})
    assert cell.status()["state"] == "done"


def test_clear_keeps_the_lock(cell: Cell) -> None:
    lock = cell.open()
    (cell.path / "last.ckpt").touch()
    (cell.path / "profile").mkdir()
    cell.clear()
    assert [entry.name for entry in cell.path.iterdir()] == ["lock"]
    lock.release()


def test_stale_names_what_changed(cell: Cell) -> None:
    cell.path.mkdir(parents=True)
    code = code_of(["exp.blocks.triplet", "exp.run.train"])
    assert set(code) == {"exp.blocks.triplet", "exp.run.train"}
    result = {"config": cell.resolved.config.plain(), "data_fingerprint": "1", "code": code}
    cell.write_result(result)
    assert cell.stale("1") == []
    assert cell.stale("2") == ["data"]
    cell.write_result(result | {"code": code | {"exp.blocks.triplet": "0"}})
    assert cell.stale("1") == ["exp.blocks.triplet"]
    cell.write_result(result | {"code": code | {"exp.nn.gone": "0"}})
    assert cell.stale("1") == ["exp.nn.gone"]
    told = dict.fromkeys(("exp.options.errors", "exp.run.console", "exp.cells.files", "exp.tasks.gait.pictures"), "0")
    cell.write_result(result | {"code": code | told})
    assert cell.stale("1") == [], "what is said, drawn or kept decides no result"


def test_a_moved_default_makes_a_cell_stale(cell: Cell) -> None:
    before = json.loads(json.dumps(cell.resolved.config.plain()))
    before["att"]["pool"] = "avg+max"
    cell.path.mkdir(parents=True)
    cell.write_result({"config": before, "code": {}})
    assert cell.stale(None) == ["att.pool"]


def data_cell(root: Path, data: Path, fingerprint: str | None = None) -> Cell:
    """The cell of a small run on a folder's data; done on them where their fingerprint is given."""
    one = resolved(["data=imagefolder", f"data.root={data}", "width=4"])
    cell = Cell.on(one, fingerprint, root) if fingerprint else Cell.of(one, root)
    return cell


def finish(cell: Cell, fingerprint: str) -> None:
    cell.path.mkdir(parents=True)
    cell.write_result({**cell.resolved.plain(), "data_fingerprint": fingerprint, "code": {}})


def test_other_contents_in_another_folder_are_another_cell(tmp_path: Path) -> None:
    first = data_cell(tmp_path, tmp_path / "a", "A" * 32)
    assert first.key == data_cell(tmp_path, tmp_path / "a").key, "the first data leave the identity as it is"
    finish(first, "A" * 32)
    other = data_cell(tmp_path, tmp_path / "b", "B" * 32)
    assert other.key != first.key
    finish(other, "B" * 32)
    assert data_cell(tmp_path, tmp_path / "b", "B" * 32).path == other.path
    assert data_cell(tmp_path, tmp_path / "a", "A" * 32).path == first.path
    assert other.stale("B" * 32) == []
    assert Cell.at(other.path).resolved.key == other.key


def test_the_same_contents_anywhere_are_the_same_cell(tmp_path: Path) -> None:
    first = data_cell(tmp_path, tmp_path / "a", "A" * 32)
    finish(first, "A" * 32)
    assert data_cell(tmp_path, tmp_path / "moved", "A" * 32).path == first.path


def test_other_contents_in_the_same_folder_make_the_cell_stale(tmp_path: Path) -> None:
    first = data_cell(tmp_path, tmp_path / "a", "A" * 32)
    finish(first, "A" * 32)
    again = data_cell(tmp_path, tmp_path / "a", "B" * 32)
    assert again.path == first.path
    assert again.stale("B" * 32) == ["data"]


def test_an_unfinished_cell_belongs_to_its_data(tmp_path: Path) -> None:
    first = data_cell(tmp_path, tmp_path / "a", "A" * 32)
    first.path.mkdir(parents=True)
    first.write_config()
    first.write_status("waiting", data="A" * 32)
    assert data_cell(tmp_path, tmp_path / "b", "B" * 32).path != first.path
    assert data_cell(tmp_path, tmp_path / "a", "B" * 32).path == first.path


def test_a_fingerprint_of_an_earlier_version_is_compared_with_none_of_todays(tmp_path: Path) -> None:
    first = data_cell(tmp_path, tmp_path / "a")
    finish(first, "0" * 16)
    assert data_cell(tmp_path, tmp_path / "a", "A" * 32).stale("A" * 32) == []
    assert data_cell(tmp_path, tmp_path / "b", "A" * 32).path != first.path, "which data they were is not known"


@pytest.mark.parametrize("data", ["culane", "tusimple"])
def test_a_size_that_was_a_default_once_makes_a_cell_stale(data: str, tmp_path: Path) -> None:
    one = resolved(["task=lane", f"data={data}", "recipe=quick"])
    cell = Cell.of(one, tmp_path)
    assert "input_height" not in one.identity["data"]
    plain = one.plain()
    plain["config"]["data"] |= {"input_height": 128, "input_width": 320}
    cell.path.mkdir(parents=True)
    cell.write_result({**plain, "code": {}})
    assert Cell.of(one, tmp_path).stale(None) == ["data.input_height", "data.input_width"]


def test_provenance_tells_where_a_result_comes_from() -> None:
    said = provenance("python -m exp")
    assert said["command"] == "python -m exp"
    assert {"python", "torch", "lightning", "hydra-core"} <= set(said["versions"])
    assert said["host"] == os.uname().nodename


def test_git_state_outside_a_repository(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None


def test_disk_is_told(cell: Cell) -> None:
    cell.path.mkdir(parents=True)
    (cell.path / "file").write_bytes(b"12345")
    assert cell.disk_bytes() == 5

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exp.cells.lock import Lock, started, this_host
from exp.sweep.record import FOLDER
from exp.watch.cell_state import CellState, checked
from exp.watch.folder import Folder
from exp.watch.remaining import Remaining, row_of
from tests.watch.cells import done, lines, put

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.link", "os.truncate", "os.chmod")

_seen: list[tuple[str, str, int]] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and (event == "open" or event in CHANGING):
        flags = arguments[2] if event == "open" and isinstance(arguments[2], int) else 0
        _seen.append((event, str(arguments[0]), flags))


sys.addaudithook(_audit)


def files_of(look: Callable[[], Any], root: Path) -> tuple[list[str], list[str]]:
    """What is read and what is changed below a folder while something is done, as the interpreter itself reports it."""
    global _seen
    _seen = []
    try:
        look()
    finally:
        seen, _seen = _seen, None
    here = [event for event in seen if event[1].startswith(str(root))]
    changed = [path for event, path, flags in here if event in CHANGING or flags & WRITING]
    return [path for event, path, _ in here if event == "open"], changed


def states(folder: Folder) -> dict[str, str]:
    return {cell.path.name: cell.state for cell in folder.cells.values()}


def settle(root: Path) -> None:
    """Dates everything back, as it is when a folder has been at rest for a while."""
    for path in [*root.rglob("*"), root]:
        os.utime(path, (1.0e9, 1.0e9))


def test_every_state_is_what_the_cell_itself_says(tmp_path: Path, train: Callable[..., dict[str, Any]]) -> None:
    train("trainer.max_epochs=1")
    train("att=se", "lr=1e30")
    root = tmp_path / "multirun"
    for state in ("failed", "waiting"):
        put(root / "attention" / f"{state}-s0-x" / "status.json", {"state": state, "error": "ValueError: no"})
    put(root / "attention" / "killed-s0-x" / "status.json", {"state": "running"})
    running = root / "attention" / "running-s0-x"
    put(running / "status.json", {"state": "running", "epoch": 1, "max_epochs": 4, "batch": 5, "batches": 10})
    lock = Lock(running / "lock")
    lock.acquire()
    try:
        folder = Folder(root)
        folder.look()
        cells = {cell.path.name.rpartition("-")[0]: cell for cell in folder.cells.values()}
    finally:
        lock.release()
    assert {name: cell.state for name, cell in cells.items()} == {
        "resnet18-digits-width4-s0": "done",
        "resnet18-se-digits-width4-s0": "diverged",
        "failed-s0": "failed",
        "waiting-s0": "waiting",
        "killed-s0": "waiting",
        "running-s0": "running",
    }
    assert cells["running-s0"].progress == 1.5 / 4
    assert "was killed" in cells["killed-s0"].note
    assert cells["failed-s0"].note == "ValueError: no"
    assert "the training loss is" in cells["resnet18-se-digits-width4-s0"].note
    whole = cells["resnet18-digits-width4-s0"]
    result = json.loads((whole.path / "result.json").read_text())
    assert whole.shown["top1"] == result["test"]["top1"]
    assert whole.value == result["best"]["value"]
    assert whole.wall_seconds is not None
    assert whole.wall_seconds > 0
    folder.look()
    assert states(folder)["running-s0-x"] == "waiting", "its lock has been given back"


def test_a_running_cell_reports_its_speed_device_and_memory(
    tmp_path: Path, train: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exp.callbacks.recorder.REPORT_SECONDS", 0.0)
    kept: list[dict[str, Any]] = []
    from exp.cells.cell import Cell

    write = Cell.write_status
    monkeypatch.setattr(Cell, "write_status", lambda self, *a, **k: (kept.append(k), write(self, *a, **k))[1])
    train("trainer.max_epochs=1")
    reports = [report for report in kept if "samples_per_second" in report]
    assert reports
    assert all(report["samples_per_second"] > 0 for report in reports)
    assert {report["device"] for report in reports} == {"cpu"}
    assert all(report["memory_bytes"] > 50e6 for report in reports)


def test_watching_changes_nothing_and_reads_what_rests_once(tmp_path: Path) -> None:
    for number in range(30):
        lines(done(tmp_path, f"ca-s{number}-x"), [1.0, 2.0])
    put(tmp_path / "attention" / "none-s0-x" / "status.json", {"state": "failed", "error": "no"})
    settle(tmp_path)
    folder = Folder(tmp_path)
    read, changed = files_of(folder.look, tmp_path)
    assert len(read) >= 61
    assert changed == []
    version = folder.version
    read, changed = files_of(folder.look, tmp_path)
    assert (read, changed) == ([], [])
    assert folder.version == version


def test_cells_come_and_go(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "multirun")
    folder.look()
    assert folder.cells == {}
    first = done(tmp_path / "multirun", "ca-s0-x")
    assert folder.look() == {"attention/ca-s0-x"}
    assert states(folder) == {"ca-s0-x": "done"}
    done(tmp_path / "multirun", "ca-s1-x")
    folder.look()
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    folder.look()
    assert states(folder) == {"ca-s1-x": "done"}


def test_cells_that_cannot_be_read_in_time_are_read_later(tmp_path: Path) -> None:
    for number in range(5):
        done(tmp_path, f"ca-s{number}-x")
    folder = Folder(tmp_path)
    folder.look(0.0)
    assert folder.reading == 5
    folder.look()
    assert set(states(folder).values()) == {"done"}


def test_a_file_that_cannot_be_read_leaves_what_was_known(tmp_path: Path) -> None:
    cell = CellState(tmp_path / "attention" / "ca-s0-x", "ca s0")
    put(cell.path / "status.json", {"state": "failed", "error": "ValueError: no"})
    cell.look()
    (cell.path / "status.json").write_text('{"state": "fai')
    cell.look()
    assert (cell.state, cell.note) == ("failed", "ValueError: no")


def test_entries_of_another_type_are_left_out() -> None:
    given = {"state": "running", "epoch": "<b>", "max_epochs": 3, "metrics": {"a": 1.0, "b": "x"}, "alarm": 4}
    given["evaluating"] = "testing 3 of 90, 4.0 s left"
    known = {"state": "running", "max_epochs": 3, "metrics": {"a": 1.0}}
    assert checked(given) == known | {"evaluating": given["evaluating"]}


def test_a_cell_of_another_machine_lives_as_long_as_its_lock_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "attention" / "ca-s0-x"
    put(folder / "status.json", {"state": "running"})
    put(folder / "lock", {"host": "elsewhere/boot/1", "pid": 1, "started": "1"})
    now = time.time()
    cell = CellState(folder, "ca s0")

    def at(seconds: float, beat: float) -> str:
        os.utime(folder / "lock", (now + beat, now + beat))
        monkeypatch.setattr("exp.watch.cell_state.time.monotonic", lambda: 1000.0 + seconds)
        monkeypatch.setattr("exp.watch.cell_state.time.time", lambda: now + seconds)
        cell.look()
        return cell.state

    assert at(0, beat=-20) == "running"
    assert at(50, beat=-20) == "waiting", "no beat for 70 seconds"
    assert at(55, beat=-15) == "running", "it beats, whatever the clocks say"
    assert at(114, beat=-15) == "running"
    assert at(116, beat=-15) == "waiting"


def record(root: Path, cells: dict[str, str], holder: dict[str, Any], **more: Any) -> None:
    listed = [{"cell": f"attention/{name}", "name": words} for name, words in cells.items()]
    values = {"command": "exp -m", "began": time.time(), "slots": 2, "state": "running", "cells": listed}
    put(root / FOLDER / "1.json", values | holder | more)


def this_process() -> dict[str, Any]:
    return {"host": this_host(), "pid": os.getpid(), "started": started(os.getpid())}


def test_a_running_sweep_names_its_cells_and_those_to_come(tmp_path: Path) -> None:
    done(tmp_path, "ca-digits-s0-x")
    done(tmp_path, "old-digits-s0-x")
    record(tmp_path, {"ca-digits-s0-x": "ca s0", "ca-digits-s1-y": "ca s1"}, this_process())
    folder = Folder(tmp_path)
    folder.look()
    assert folder.counts == {"done": 1, "waiting": 1}
    assert {cell.name: cell.state for cell in folder.cells.values()} == {
        "ca s0": "done",
        "ca s1": "waiting",
        "old-digits-s0": "done",
    }
    assert Remaining(folder).of_sweep() == 30, "as long as the other seed took, on one of two slots"


def test_cells_of_two_sweeps_do_not_share_a_name(tmp_path: Path) -> None:
    for name in ("resnet18-ca-digits-s0-x", "van-ca-digits-s0-y", "resnet18-se-digits-s0-z"):
        done(tmp_path, name)
    record(tmp_path, {"resnet18-ca-digits-s0-x": "ca s0", "resnet18-se-digits-s0-z": "se s0"}, this_process())
    folder = Folder(tmp_path)
    folder.look()
    assert {cell.name for cell in folder.cells.values()} == {"ca s0", "se s0", "van-ca-digits-s0"}
    listed = [{"cell": "attention/van-ca-digits-s0-y", "name": "ca s0"}]
    put(tmp_path / FOLDER / "2.json", {"command": "exp", "began": time.time(), "state": "done", "cells": listed})
    folder.look()
    assert {cell.name for cell in folder.cells.values()} == {"resnet18-ca-digits-s0", "se s0", "van-ca-digits-s0"}


def test_cells_that_differ_in_what_their_names_leave_out_have_their_directories_names(tmp_path: Path) -> None:
    done(tmp_path, "ca-digits-s0-x")
    folder = Folder(tmp_path)
    folder.look()
    assert {cell.name for cell in folder.cells.values()} == {"ca-digits-s0"}
    done(tmp_path, "ca-digits-s0-y")
    done(tmp_path, "se-digits-s0-z")
    folder.look()
    assert {cell.name for cell in folder.cells.values()} == {"ca-digits-s0-x", "ca-digits-s0-y", "se-digits-s0"}
    shutil.rmtree(tmp_path / "attention" / "ca-digits-s0-x")
    folder.look()
    assert {cell.name for cell in folder.cells.values()} == {"ca-digits-s0", "se-digits-s0"}


def test_a_sweep_whose_front_is_gone_awaits_nothing(tmp_path: Path) -> None:
    done(tmp_path, "ca-digits-s0-x")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record(tmp_path, {"ca-digits-s0-x": "ca s0", "ca-digits-s1-y": "ca s1"}, this_process() | {"pid": ended.pid})
    folder = Folder(tmp_path)
    folder.look()
    assert folder.counts == {"done": 1}
    assert Remaining(folder).of_sweep() is None
    assert [cell.name for cell in folder.cells.values()] == ["ca s0"]


def test_a_record_leads_nowhere_but_to_cells(tmp_path: Path) -> None:
    root = tmp_path / "multirun"
    put(tmp_path / "secret-s0-x" / "status.json", {"state": "failed", "error": "secret"})
    cells = [{"cell": name, "name": "x"} for name in ("../secret-s0-x", "/etc/passwd", "a/../../b", ".x/y", 7)]
    put(root / FOLDER / "1.json", {"command": "", "began": 1.0, "state": "running", "cells": cells, **this_process()})
    put(root / FOLDER / "2.json", {"cells": "x"})
    folder = Folder(root)
    folder.look()
    assert folder.cells == {}


def test_time_left_goes_by_the_pace_of_the_last_epochs(tmp_path: Path) -> None:
    running = tmp_path / "attention" / "ca-s0-x"
    lines(running, [50.0, 60.0])
    put(running / "status.json", {"state": "running", "epoch": 2, "max_epochs": 6, "batch": 5, "batches": 10})
    lock = Lock(running / "lock")
    lock.acquire()
    try:
        folder = Folder(tmp_path)
        folder.look()
        cell = folder.cells["attention/ca-s0-x"]
        assert cell.seconds_left == pytest.approx(3.5 * 3)
        assert Remaining(folder).of_sweep() == pytest.approx(3.5 * 3)
        assert cell.value == 60
    finally:
        lock.release()


def test_rows_are_names_without_seeds(tmp_path: Path) -> None:
    named = [row_of(CellState(tmp_path, name)) for name in ("ca 0.1 s3", "resnet18-ca-digits-s12", "step2")]
    assert named == ["ca 0.1", "resnet18-ca-digits", "step2"]


def test_only_the_cells_of_a_table_are_looked_at(tmp_path: Path) -> None:
    done(tmp_path, "ca-digits-s0-x")
    done(tmp_path, "other-digits-s0-x")
    folder = Folder(tmp_path, {"attention/ca-digits-s0-x": "ca s0", "attention/ca-digits-s1-y": "ca s1"})
    folder.look()
    assert {cell.name: cell.state for cell in folder.cells.values()} == {"ca s0": "done", "ca s1": "waiting"}
    done(tmp_path, "ca-digits-s1-y")
    folder.look()
    assert {cell.name: cell.state for cell in folder.cells.values()} == {"ca s0": "done", "ca s1": "done"}


@pytest.mark.parametrize("saved", [False, True])
def test_what_a_killed_cell_does_next_is_what_it_says(tmp_path: Path, saved: bool) -> None:
    put(tmp_path / "status.json", {"state": "running"})
    if saved:
        (tmp_path / "last.ckpt").touch()
    cell = CellState(tmp_path, "ca s0")
    cell.look()
    then = "goes on from the last save" if saved else "begins anew, nothing was saved"
    assert (cell.state, cell.note) == ("waiting", f"its process was killed; the same command {then}")

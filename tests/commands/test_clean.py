import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exp.__main__ import run
from exp.cells.cell import Cell
from exp.cells.lock import Lock
from exp.commands.clean import clean, find
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from tests.conftest import TINY


@pytest.fixture
def cells(tmp_path: Path) -> dict[str, Path]:
    """A cell of each state, made by the code that makes them; only the training is left out."""
    paths = {}
    for seed, state in enumerate(("done", "failed", "diverged", "waiting", "running")):
        one = resolved([*TINY, f"seed={seed}", f"cells.dir={tmp_path}/multirun"])
        cell = Cell.of(one)
        cell.path.mkdir(parents=True)
        cell.write_config()
        cell.write_status(state)
        if state == "done":
            cell.write_result({"config": one.config.plain(), "code": {}})
        paths[state] = cell.path
    return paths


@pytest.fixture
def lock(cells: dict[str, Path]) -> Any:
    lock = Lock(cells["running"] / "lock")
    lock.acquire()
    yield lock
    lock.release()


def test_without_words_it_counts_and_removes_nothing(
    cells: dict[str, Path], lock: Lock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean([], tmp_path / "multirun", True) == 0
    said = capsys.readouterr().out
    for state in ("done", "failed", "diverged", "waiting", "running"):
        assert f"{state:11}     1" in said
    assert all(path.exists() for path in cells.values())


def test_states_are_removed_and_nothing_else(
    cells: dict[str, Path], lock: Lock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean(["failed", "waiting"], tmp_path / "multirun", True) == 0
    said = capsys.readouterr().out
    assert cells["failed"].name in said
    assert "removed 2 of 2 cells" in said
    assert [state for state, path in cells.items() if path.exists()] == ["done", "diverged", "running"]
    assert not list((tmp_path / "multirun").glob("*/.*"))
    assert clean(["failed"], tmp_path / "multirun", True) == 0
    assert "no cell in" in capsys.readouterr().out


def test_a_cell_goes_by_hash_name_or_directory(cells: dict[str, Path], tmp_path: Path) -> None:
    for path, word in (
        (cells["done"], cells["done"].name.rpartition("-")[2]),
        (cells["failed"], cells["failed"].name),
        (cells["diverged"], str(cells["diverged"])),
    ):
        assert clean([word, word], tmp_path / "multirun", True) == 0
        assert not path.exists()
    with pytest.raises(ConfigError, match="did you mean 'diverged'"):
        clean(["diverge"], tmp_path / "multirun", True)
    with pytest.raises(ConfigError, match="no such folder"):
        clean([], tmp_path / "nowhere", True)


def test_a_running_cell_is_never_removed(cells: dict[str, Path], lock: Lock, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is running; stop it first"):
        clean([cells["running"].name], tmp_path / "multirun", True)
    assert (cells["running"] / "status.json").exists()


def test_a_cell_that_starts_while_it_is_chosen_is_kept(
    cells: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from exp.commands import clean as module

    taken = Lock(cells["failed"] / "lock")

    def takes(folder: Path) -> Any:
        found = find(folder)
        taken.acquire()
        return found

    monkeypatch.setattr(module, "find", takes)
    assert clean(["failed"], tmp_path / "multirun", True) == 0
    taken.release()
    said = capsys.readouterr()
    assert "removed 0 of 1 cell" in said.out
    assert "held by process" in said.err
    assert (cells["failed"] / "status.json").exists()


@pytest.mark.parametrize(("answer", "left"), [("y\n", False), ("\n", True), ("no\n", True)])
def test_it_asks(
    answer: str, left: bool, cells: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(ConfigError, match="add --yes"):
        clean(["failed"], tmp_path / "multirun", False)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    assert clean(["failed"], tmp_path / "multirun", False) == int(left)
    assert cells["failed"].exists() == left


def test_stale_are_those_whose_code_data_or_choices_changed(cells: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "multirun"
    assert clean(["stale"], folder, True) == 0
    assert cells["done"].exists()
    result = json.loads((cells["done"] / "result.json").read_text())
    (cells["done"] / "result.json").write_text(json.dumps(result | {"code": {"exp.run.train": "another"}}))
    assert clean(["stale"], folder, True) == 0
    assert not cells["done"].exists()


def test_a_really_trained_cell_is_not_stale(train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    cell = train("trainer.max_epochs=1")
    assert clean(["stale"], tmp_path / "multirun", True) == 0
    assert cell["path"].exists()
    record = json.loads((cell["path"] / "config.json").read_text())
    (cell["path"] / "config.json").write_text(json.dumps(record | {"overrides": ["att=was_removed"]}))
    assert clean(["stale"], tmp_path / "multirun", True) == 0
    assert not cell["path"].exists()


def test_the_command(cells: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "multirun")
    assert run(["clean", "--dir", folder, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[cells["failed"].name]["state"] == "failed"
    assert run(["clean", "failed", "--dir", folder, "--yes"]) == 0
    assert not cells["failed"].exists()
    assert run(["clean", "nothing", "--dir", folder]) == 2
    assert "exp clean: nothing: no such state or cell" in capsys.readouterr().err

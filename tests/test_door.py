"""exp from Python: the examples of its docstrings. What trains cells is in ``tests/plugins``."""

import doctest
from pathlib import Path

import pytest
import torch

import exp.door


def test_the_examples_of_the_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(exp.door, optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
    assert done.attempted >= 10
    assert not list(tmp_path.iterdir())  # nothing has run


def test_what_describes_several_cells_is_for_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for ask in (exp.run, exp.cell):
        with pytest.raises(ValueError, match="seed=0,1: describes 2 cells"):
            ask("seed=0,1")
    assert not list(tmp_path.iterdir())


def test_a_cell_that_never_ran_has_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="waiting, so it has no weights yet"):
        exp.cell("att=ca").load()


def test_weights_of_a_cell_whose_code_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = exp.cell("att=none", "width=4")
    cell.path.mkdir(parents=True)
    cell.write_config()
    torch.save({"state_dict": {"model.gone": torch.zeros(1)}}, cell.path / "best.ckpt")
    cell.write_result({"code": {"exp.layers.resnet": "0"}, "config": {}})
    with pytest.raises(ValueError, match="since exp.layers.resnet changed after it ran; sweep.force=stale"):
        cell.load()
    assert exp.door.CellList([cell]).frame()["state"].tolist() == ["stale"]
    cell.write_result({"code": {}, "config": {}})
    with pytest.raises(ValueError, match="another model's weights"):
        cell.load()

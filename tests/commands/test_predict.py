"""exp predict: which task predicts, by the checkpoint's cell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.__main__ import run
from exp.cells.files import write_json


def test_the_task_is_that_of_the_cell(
    train: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = train("trainer.max_epochs=1")["path"]
    cv2.imwrite("p.png", np.zeros((40, 40, 3), "uint8"))
    capsys.readouterr()
    for ckpt in (cell / "best.ckpt", cell):
        assert run(["predict", f"ckpt={ckpt}", "p.png", "maps=false"]) == 0
        assert capsys.readouterr().out.startswith("p.png\n  ")
    assert run(["predict", "task=gait", f"ckpt={cell}", "p.png"]) == 2
    assert "a checkpoint of task=attention, not of task=gait" in capsys.readouterr().err
    (tmp_path / "FILE").write_text("")
    assert run(["predict", f"ckpt={cell}", "p.png", "out=FILE/x"]) == 2
    assert "out=FILE/x: cannot be written (Not a directory); give another place with out=" in capsys.readouterr().err


def test_what_says_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "best.ckpt").write_text("")
    (tmp_path / "alone.ckpt").write_text("")
    write_json(tmp_path / "cell" / "config.json", {"config": {"task": {"name": "moons"}}})
    for words, said in {
        "p.png": "say by which cell: exp predict ckpt=CELL/best.ckpt FILES",
        "ckpt=no.ckpt p.png": "ckpt=no.ckpt: no such file",
        "ckpt=alone.ckpt p.png": "ckpt=alone.ckpt: no cell's config.json lies beside it; keep checkpoint and cell together",
        "ckpt=cell p.png": "ckpt=cell/best.ckpt: a cell of task=moons, which does not predict; attention, fer, gait, lane do",
        "task=gate p.png": "task=gate: give one of attention, fer, gait, lane",
    }.items():
        assert run(["predict", *words.split()]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "None" not in error

"""The command that scores files of features by the CASIA-B protocol."""

import json
from pathlib import Path

import numpy as np
import pytest

from exp.commands.front import run_verb
from exp.tasks.gait.metrics.casia_b import evaluate
from tests.tasks.gait.metrics.test_casia_b import walks


def main(words: list[str]) -> int:
    return run_verb("score", ["casia_b", *words])


def test_command_prints_the_same_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = walks()
    np.savez(tmp_path / "features.npz", **arrays)
    assert main([str(tmp_path / "features.npz"), "--metric", "cosine", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    report = evaluate(**arrays, metric="cosine")
    assert found["scores"] == pytest.approx(report.scores())
    assert np.array(found["conditions"]["cl"]["matrix"]["r1"]).shape == (3, 3)
    assert main([str(tmp_path / "features.npz")]) == 0
    text = capsys.readouterr().out
    assert f"{evaluate(**arrays).conditions['bg'].scores['r1']:8.2f}" in text
    assert "probe view (row) x gallery view (column)" in text


def test_an_error_is_one_line_with_the_commands_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "short.npz", features=np.zeros((1, 1, 1)))
    (tmp_path / "text.npz").write_text("no archive")
    objects = walks() | {"ids": np.array([object()] * 180, dtype=object)}
    np.savez(tmp_path / "objects.npz", allow_pickle=True, **objects)
    for name, message in (
        ("gone.npz", "cannot be read"),
        ("short.npz", "lacks ids, types, views"),
        ("text.npz", "not an .npz file"),
        ("objects.npz", "not an .npz file of plain arrays"),
    ):
        assert main([str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("exp score: ")
        assert message in error
        assert len(error.splitlines()) == 1


def test_help_and_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: exp score casia_b ")
    assert main(["x.npz", "--metric", "city"]) == 2
    assert capsys.readouterr().err.startswith("exp score: --metric: invalid choice: 'city'")

"""exp data: what a reader of one's own gives that is no image or no label is one line."""

from typing import Any

import numpy as np
import pytest

from exp.commands.front import run_verb
from exp.data.source import Split
from exp.tasks.attention.data.digits import Digits


@pytest.mark.parametrize(
    ("kind", "labels", "said"),
    [
        (np.float32, [0, 1], "digits: images must be uint8 (N, C, H, W), not float32 (2, 1, 8, 8)"),
        (np.uint8, [0, 10], "train: labels 0 to 10, but 10 classes are numbered 0 to 9"),
    ],
)
def test_what_is_no_image_or_no_label(
    kind: Any, labels: list[int], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Digits, "load", lambda self: {"train": Split(np.zeros((2, 1, 8, 8), kind), np.array(labels))})
    assert run_verb("data", ["digits"]) == 2
    assert capsys.readouterr().err.splitlines() == [f"exp data: {said}"]

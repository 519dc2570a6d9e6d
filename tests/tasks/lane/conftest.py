"""Lanes, files of lanes and real labels for several tests."""

from pathlib import Path

import numpy as np
import pytest

from exp.tasks.lane.data.lines import LabelReport, clean, read_lines, write_lines


def straight(x: float, top: int = 300) -> np.ndarray:
    """A vertical lane from the bottom of a CULane image up to a row."""
    y = np.arange(590, top, -10, dtype=np.float32)
    return np.stack([np.full_like(y, x), y], 1)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Labels and predictions in two categories: normal (one right, one far off), cross (a false positive)."""
    for name, labels, predicted in (
        ("a/1", [straight(400), straight(800)], [straight(402), straight(600)]),
        ("a/2", [straight(500)], [straight(501)]),
        ("a/3", [], [straight(500)]),
    ):
        write_lines(tmp_path / "gt" / f"{name}.lines.txt", labels)
        write_lines(tmp_path / "pred" / f"{name}.lines.txt", predicted)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "test0_normal.txt").write_text("a/1.jpg\na/2.jpg\n")
    (tmp_path / "splits" / "test7_cross.txt").write_text("/a/3.jpg mask.png 1 0\n")
    return tmp_path


@pytest.fixture
def culane_labels(real_data: Path) -> list[list[np.ndarray]]:
    """The lanes of each image of the real CULane clip."""
    report = LabelReport()
    paths = sorted((real_data / "culane").glob("driver_*/*/*.lines.txt"))
    return [clean(read_lines(path), 1640, report) for path in paths]

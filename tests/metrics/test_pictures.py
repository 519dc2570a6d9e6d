"""Pictures are drawn, and the mistakes on them are the right ones."""

from pathlib import Path

import cv2
import numpy as np

from exp.metrics.pictures import draw_confusion, draw_curves, draw_mistakes, worst_mistakes

NAMES = ["angry", "fear", "happy"]


def test_the_worst_mistakes_come_first() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    probabilities = np.array([[0.1, 0.9, 0.0], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]])
    assert worst_mistakes(labels, probabilities, 10).tolist() == [3, 0, 2, 4]
    assert worst_mistakes(labels, probabilities, 2).tolist() == [3, 0]
    assert worst_mistakes(np.array([0]), np.array([[1.0, 0.0, 0.0]]), 5).tolist() == []


def test_the_contact_sheet_shows_the_faces_in_that_order(tmp_path: Path) -> None:
    images = np.stack([np.full((48, 48), grey, np.uint8) for grey in (20, 120, 220)])
    labels, probabilities = np.array([0, 1, 2]), np.array([[0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    draw_mistakes(tmp_path / "m.png", images, labels, probabilities, NAMES, 9)
    sheet = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (130, 1160)
    assert (sheet[50, 50], sheet[50, 116 + 50], sheet[50, 232 + 50]) == (220, 20, 255)
    assert (sheet[100:130, :100] < 128).any()  # its caption


def test_a_net_without_mistakes_has_an_empty_sheet(tmp_path: Path) -> None:
    draw_mistakes(tmp_path / "m.png", np.zeros((1, 48, 48), np.uint8), np.array([0]), np.eye(3)[:1], NAMES, 9)
    assert (cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_GRAYSCALE) == 255).all()


def test_the_confusion_matrix_is_normalised_by_row(tmp_path: Path) -> None:
    draw_confusion(tmp_path / "full.png", [[5, 0, 0], [0, 500, 0], [0, 0, 0]], NAMES)
    draw_confusion(tmp_path / "swapped.png", [[0, 5, 0], [0, 500, 0], [0, 0, 0]], NAMES)
    full, swapped = (cv2.imread(str(tmp_path / name)).astype(int) for name in ("full.png", "swapped.png"))
    assert full.shape == swapped.shape
    assert full.shape[0] > 300
    assert (np.abs(full - swapped).max(2) > 100).mean() > 0.02  # two cells changed, though only 5 of 505 faces did


def test_curves_are_drawn_with_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    point = {"epoch": 0, "train_top1": 40.0, "train_loss": 1.0, "val_top1": None, "val_loss": None}
    draw_curves(tmp_path / "c.png", [point, point | {"epoch": 1}], "unknown: none")
    assert cv2.imread(str(tmp_path / "c.png")).shape[0] > 300

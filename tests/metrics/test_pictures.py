"""Pictures are drawn, and the mistakes on them are the right ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from exp.metrics.extremes import Case, Extremes
from exp.metrics.pictures import (
    caption,
    draw_answers,
    draw_confusion,
    draw_curves,
    surest_answers,
    worst_mistakes,
    write_image,
)

NAMES = ["angry", "fear", "happy"]


def test_the_worst_mistakes_come_first() -> None:
    labels = np.array([0, 1, 2, 0, 1])
    probabilities = np.array([[0.1, 0.9, 0.0], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]])
    assert worst_mistakes(labels, probabilities, 10).tolist() == [3, 0, 2, 4]
    assert worst_mistakes(labels, probabilities, 2).tolist() == [3, 0]
    assert worst_mistakes(np.array([0]), np.array([[1.0, 0.0, 0.0]]), 5).tolist() == []


def test_the_surest_answers_come_first() -> None:
    labels = np.array([0, 1, 2, 0])
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.7, 0.2, 0.1]])
    assert surest_answers(labels, probabilities, 10).tolist() == [1, 3, 0]
    assert surest_answers(labels, probabilities, 1).tolist() == [1]


def test_extremes_are_those_of_all_batches() -> None:
    kept = Extremes(2)
    for scores in ([0.5, 0.9], [0.1, 0.9], [0.7]):
        kept.add(Case(score, row) for row, score in enumerate(scores, 10 * len(kept.best)))
    assert [case.score for case in kept.best] == [0.9, 0.9]
    assert [case.score for case in kept.worst] == [0.1, 0.5]
    assert [case.row for case in kept.best] == [1, 21], "the first of equals first"


def test_the_contact_sheet_shows_the_images_in_their_order(tmp_path: Path) -> None:
    images = [np.full((48, 48), grey, np.uint8) for grey in (220, 20)]
    draw_answers(tmp_path / "m.png", images, [caption("happy", "angry", 1.0), caption("fear", "fear", 0.4)])
    sheet = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (130, 232)
    assert (sheet[50, 50], sheet[50, 116 + 50]) == (220, 20)
    assert (sheet[100:130, :100] < 128).any()  # its caption
    assert caption("happy", "angry", 1.0) == ("happy >", "angry (100 %)")
    assert caption("fear", "fear", 0.4) == ("fear", "40 %")


def test_colours_stay_and_images_keep_their_shape(tmp_path: Path) -> None:
    image = np.zeros((30, 60, 3), np.uint8)
    image[..., 0] = 200
    draw_answers(tmp_path / "m.png", [image], [("a", "b")])
    sheet = cv2.imread(str(tmp_path / "m.png"))
    assert sheet[20, 50].tolist() == [0, 0, 200], "red, in BGR"
    assert sheet[70, 50].tolist() == [255, 255, 255], "the image is twice as wide as high"


def test_a_picture_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "full.png").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_image(tmp_path / "full.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(OSError, match="No such file"):
        draw_answers(tmp_path / "none" / "m.png", [np.zeros((4, 5), np.uint8)], [("a", "b")])


def test_nothing_is_drawn_of_no_image(tmp_path: Path) -> None:
    draw_answers(tmp_path / "m.png", [], [])
    assert not list(tmp_path.iterdir())


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

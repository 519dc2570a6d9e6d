"""Lanes are drawn over the frames where they belong."""

from pathlib import Path

import cv2
import numpy as np

from exp.tasks.lane.data.view import View
from exp.tasks.lane.pictures import draw_frames

VIEW = View(image_height=600, image_width=1600, crop_top=200, height=100, width=400)
FRAME = np.full((3, 100, 400), 90, np.uint8)
LEFT = np.array([[400.0, 590.0], [400.0, 210.0]])
RIGHT = np.array([[1200.0, 590.0], [1200.0, 210.0]])


def test_labels_are_white_and_lanes_coloured(tmp_path: Path) -> None:
    draw_frames(tmp_path / "lanes.jpg", VIEW, [("a", FRAME, [LEFT], [RIGHT]), ("b", FRAME, [], [])])
    sheet = cv2.imread(str(tmp_path / "lanes.jpg")).astype(int)
    assert sheet.shape == (160 + 22, 1280, 3)
    middle = 22 + 80
    assert sheet[middle, 480].min() > 200, "the label"
    blue, green, red = sheet[middle, 160]
    assert blue > 180, "the lane, in the first colour"
    assert red < 80
    assert np.abs(sheet[middle, 700:1200] - 90).max() < 12, "the second frame has none"
    assert (sheet[:22, :100] < 100).any(), "its name stands above"
    assert green > red


def test_what_is_padded_is_not_shown(tmp_path: Path) -> None:
    view = View(image_height=400, image_width=400, crop_top=0, height=100, width=400, fit="pad")
    draw_frames(tmp_path / "lanes.jpg", view, [("a", FRAME, [], [])])
    assert cv2.imread(str(tmp_path / "lanes.jpg")).shape == (640 + 22, 640, 3)
    draw_frames(tmp_path / "none.jpg", view, [])
    assert not (tmp_path / "none.jpg").exists()

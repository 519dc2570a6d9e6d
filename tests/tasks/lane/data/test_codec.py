from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.view import View

VIEW = View(590, 1640, 270, 320, 800)


def codec(**options: Any) -> LaneCodec:
    return LaneCodec(VIEW, **options)


def straight(bottom: float, top: float = 400.0, first: float = 590.0) -> np.ndarray:
    y = np.arange(first, 300, -10, dtype=np.float32)
    return np.stack([bottom + (top - bottom) * (590 - y) / 290, y], 1).astype(np.float32)


def slots_of(coder: LaneCodec, *bottoms: float) -> list[int | None]:
    """Which of the lanes each slot holds."""
    lanes = [VIEW.to_input(straight(x)) for x in bottoms]
    x = coder.encode(lanes).x
    alone = [coder._sample(lane) for lane in lanes]
    inside = [np.where((one >= 0) & (one < 800), one, np.nan) for one in alone]
    return [next((n for n, one in enumerate(inside) if np.array_equal(one, row, equal_nan=True)), None) for row in x]


def test_view_there_and_back() -> None:
    points = np.array([[0.0, 270.0], [1640.0, 590.0], [820.0, 430.0]])
    assert np.allclose(VIEW.to_input(points), [[0, 0], [800, 320], [400, 160]])
    assert np.allclose(VIEW.to_original(VIEW.to_input(points)), points)
    padded = View(590, 1640, 270, 320, 320, "pad")
    assert padded.scale[0] == padded.scale[1]
    assert padded.filled == (62, 320)
    assert np.allclose(padded.to_original(padded.to_input(points)), points, atol=1e-3)
    image = padded.image(np.full((590, 1640, 3), 200, np.uint8))
    assert image.shape == (3, 320, 320)
    assert (image[:, :62] == 200).all()
    assert (image[:, 62:] == 0).all()
    with pytest.raises(ValueError, match="crop_top=590: leaves nothing of image_height=590 rows"):
        View(590, 1640, 590, 320, 800)


def test_two_left_two_right_whatever_the_number() -> None:
    coder = codec()
    assert slots_of(coder, -900, 300, 1300, 2500) == [0, 1, 2, 3]
    assert slots_of(coder, 300, 1300, 2500) == [None, 0, 1, 2]
    assert slots_of(coder, 300, 1300) == [None, 0, 1, None]
    assert slots_of(coder, 1300, 300) == [None, 1, 0, None]  # also out of order
    assert slots_of(codec(slots="file"), 300, 1300) == [0, 1, None, None]


def test_a_side_with_too_many_lanes_borrows_a_slot() -> None:
    coder = codec()
    assert slots_of(coder, 100, 300, 700) == [0, 1, 2, None]
    assert slots_of(coder, 900, 1100, 1300, 1500) == [0, 1, 2, 3]


def test_lanes_without_a_slot_are_counted() -> None:
    coder = codec(max_lanes=2)
    lanes = [VIEW.to_input(straight(x)) for x in (100, 700, 900, 1500)]
    assert coder.encode(lanes).dropped == 2
    assert slots_of(coder, 100, 700, 900, 1500) == [1, 2]  # the nearest to the middle stay
    assert codec(max_lanes=6).encode(lanes).dropped == 0


def test_rows_follow_the_order() -> None:
    up, down = codec(), codec(order="top_down")
    lane = [VIEW.to_input(straight(300, first=500))]
    assert (up.rows[0], down.rows[0]) == (316, 4)
    assert np.array_equal(up.encode(lane).ids[:, ::-1], down.encode(lane).ids)
    assert (up.encode(lane).ids[1, :11] == 0).all()  # below the label there is no point
    (back,) = down.decode(down.encode(lane).ids)
    assert back[0, 1] > back[-1, 1]  # from the bottom up in either order


def test_a_single_point_is_no_lane() -> None:
    ids = np.zeros((4, 40), dtype=np.int64)
    ids[0, 3] = 7
    ids[1, 3:5] = 7
    assert len(codec().decode(ids)) == 1


def test_every_real_lane_has_a_slot_and_mostly_the_publishers(
    culane_labels: list[list[np.ndarray]], real_data: Path
) -> None:
    """CULane's own existence flags say which of its four slots are taken."""
    lines = sorted((real_data / "culane/list/train_gt.txt").read_text().split("\n"))
    flags = [[int(flag) for flag in line.split()[2:6]] for line in lines if line]
    coded = [codec().encode([VIEW.to_input(lane) for lane in lanes]) for lanes in culane_labels]
    assert sum(one.dropped for one in coded) == 0
    same = sum([int(slot) for slot in (one.ids > 0).any(1)] == flag for one, flag in zip(coded, flags, strict=True))
    assert same >= 175

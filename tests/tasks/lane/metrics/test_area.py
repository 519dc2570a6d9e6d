import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from exp.tasks.lane.metrics.area import area, distinct, iou_matrix, spline_points

HEIGHT, WIDTH = 590, 1640


def redrawn(lane: np.ndarray, height: int = HEIGHT, width: int = WIDTH, line_width: int = 30) -> np.ndarray:
    """The official evaluator's mask: another spline routine, and one line a segment."""
    points = lane.astype(np.float64)
    if len(points) > 2:
        at = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(lane, axis=0).astype(np.float64).T))])
        curve = CubicSpline(at, points, bc_type="natural")
        lengths = np.diff(at)
        steps = [at[i] + lengths[i] / 50 * k for i in range(len(lengths)) for k in range(50)]
        points = np.concatenate([curve(steps), points[-1:]]).astype(np.float32)
    mask = np.zeros((height, width), np.uint8)
    pixels = np.rint(points).astype(int).tolist()
    for one, other in itertools.pairwise(pixels):
        cv2.line(mask, one, other, 1, line_width)
    return mask


def lanes() -> Iterator[np.ndarray]:
    rng = np.random.RandomState(0)
    for _ in range(6):  # as labelled: every ten rows from the bottom up, leaving the image at the side
        y = np.arange(590, rng.randint(250, 400), -10)
        x = rng.uniform(-100, 1700) + (590 - y) * rng.uniform(-3, 3) + ((590 - y) / 100) ** 2 * rng.uniform(-8, 8)
        yield np.stack([x, y], 1)
    for _ in range(6):  # few points far apart, noise, turning back in y
        y = np.sort(rng.uniform(-30, 640, rng.randint(2, 9)))
        yield np.stack([rng.uniform(-50, 1700, len(y)), y], 1)
    for _ in range(4):
        yield rng.uniform(-50, 1700, (rng.randint(2, 7), 2))
    yield np.array([[100.0, 300.0], [100.4, 300.4]])  # one pixel
    yield np.array([[-500.0, 300.0], [-400.0, 300.0], [-300.0, 310.0]])  # beside the image
    yield np.array([[0.0, 100.0], [800.0, 100.0], [1639.0, 100.0]])  # level
    yield np.stack([np.linspace(300, 900, 40), np.linspace(580, 520, 40)], 1)  # nearly level, all from the table


@pytest.mark.parametrize("lane", [lane.astype(np.float32) for lane in lanes()])
def test_pixels_are_those_of_drawing_segment_by_segment(lane: np.ndarray) -> None:
    pixels = area(lane, HEIGHT, WIDTH)
    assert pixels is not None
    wanted = redrawn(lane)
    assert np.array_equal(pixels.drawn(WIDTH), wanted)
    assert pixels.size == wanted.sum()


@pytest.mark.parametrize(("height", "width", "line_width"), [(60, 90, 30), (64, 300, 5), (70, 80, 16), (40, 50, 1)])
def test_pixels_at_every_border_are_those_of_drawing(height: int, width: int, line_width: int) -> None:
    """In small images nearly every segment is at a border, where OpenCV clips before it fills."""
    rng = np.random.RandomState(line_width)
    for _ in range(150):
        y = np.arange(height + rng.randint(-5, 40), rng.randint(-40, height - 20), -rng.choice([3, 7, 10]))
        slope, bend = rng.uniform(-3, 3), rng.uniform(-8, 8)
        x = rng.uniform(-0.3 * width, 1.3 * width) + (height - y) * slope + ((height - y) / 100) ** 2 * bend
        lane = np.stack([x, y], 1).astype(np.float32)
        pixels = area(lane, height, width, line_width)
        if pixels is not None:
            wanted = redrawn(lane, height, width, line_width)
            assert np.array_equal(pixels.drawn(width), wanted)
            assert pixels.size == wanted.sum()


def test_spline_has_fifty_steps_a_segment_and_meets_its_points() -> None:
    lane = np.array([[10, 500], [40, 400], [30, 300], [90, 200]], np.float32)
    points = spline_points(lane)
    assert len(points) == 3 * 50 + 1
    assert np.array_equal(points[::50], lane.astype(int))


def test_iou_of_every_pair() -> None:
    some = [lane.astype(np.float32) for lane in lanes()]
    pixels = [area(lane, HEIGHT, WIDTH) for lane in some]
    masks = [redrawn(lane).astype(bool) for lane in some]
    ious = iou_matrix([*pixels, None], pixels, WIDTH)
    assert any(one is not None and one.mask is not None for one in pixels)
    assert (ious[-1] == 0).all()
    for i, one in enumerate(masks):
        for j, other in enumerate(masks):
            union = (one | other).sum()
            assert ious[i, j] == ((one & other).sum() / union if union else 0)


def test_a_lane_without_two_distinct_points_has_no_area() -> None:
    assert area(np.zeros((0, 2), np.float32), HEIGHT, WIDTH) is None
    assert area(np.full((5, 2), 7, np.float32), HEIGHT, WIDTH) is None
    assert len(distinct(np.array([[1, 2], [1, 2], [3, 4], [1, 2]], np.float32))) == 3

"""CULane's score against drawing lanes anew for every pair, side by side in one process on one core.

``python benchmarks/culane.py [--gt DIR] [--images N]`` prints the CPU time that each way needs for an image, and how
many times as long as ours it is. Labels are those of drawn roads, or the .lines.txt files below DIR; predictions are
the labels moved by some ten pixels. All ways have to give the same IoUs, bit for bit; otherwise the exit code is 1.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from exp.tasks.lane.data.lines import ENDING, read_lines
from exp.tasks.lane.data.road_scene import labels
from exp.tasks.lane.data.roads import Roads
from exp.tasks.lane.metrics.area import LINE_WIDTH, iou_matrix, spline_points
from exp.tasks.lane.metrics.culane import HEIGHT, WIDTH, areas

Lanes = list[np.ndarray]
Draw = Callable[[np.ndarray], np.ndarray]


def segments(lane: np.ndarray) -> np.ndarray:
    """Returns a lane's mask, a line for each segment, as the official evaluator draws it."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for one, other in pairwise(spline_points(lane).tolist()):
        cv2.line(mask, one, other, 1, LINE_WIDTH)
    return mask


def polyline(lane: np.ndarray) -> np.ndarray:
    """Returns a lane's mask, drawn by a single call."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.polylines(mask, [spline_points(lane)], False, 1, LINE_WIDTH)
    return mask


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the intersection over union of two masks."""
    both = cv2.countNonZero(one & other)
    return both / (cv2.countNonZero(one) + cv2.countNonZero(other) - both)


def by_pair(draw: Draw) -> Callable[[Lanes, Lanes], np.ndarray]:
    """Returns a way that draws both lanes of every pair."""
    return lambda known, predicted: np.array([[iou(draw(one), draw(other)) for other in predicted] for one in known])


def by_lane(draw: Draw) -> Callable[[Lanes, Lanes], np.ndarray]:
    """Returns a way that draws every lane once."""

    def matrix(known: Lanes, predicted: Lanes) -> np.ndarray:
        left, right = list(map(draw, known)), list(map(draw, predicted))
        return np.array([[iou(one, other) for other in right] for one in left])

    return matrix


def ours(known: Lanes, predicted: Lanes) -> np.ndarray:
    """Returns the IoUs as ``exp.tasks.lane.metrics.culane`` computes them."""
    return iou_matrix(areas(known), areas(predicted), WIDTH)


WAYS = {
    "every pair, segments (the official evaluator's way)": by_pair(segments),
    "every pair, polylines": by_pair(polyline),
    "every lane once, polylines": by_lane(polyline),
    "exp.tasks.lane.metrics.culane": ours,
}


def images(folder: Path | None, count: int) -> list[tuple[Lanes, Lanes]]:
    """Returns labels and predictions of images that have lanes."""
    rng = np.random.RandomState(0)
    if folder:
        known = [read_lines(path) for path in sorted(folder.rglob(f"*{ENDING}"))]
    else:
        view = Roads().view
        known = [labels((0, 0, number), view)[0] for number in range(2 * count)]
    known = [[lane.astype(np.float32) for lane in lanes] for lanes in known if lanes]
    known = known[:: max(1, len(known) // count)][:count]
    return [(lanes, [(lane + np.array([rng.randn() * 10, 0])).astype(np.float32) for lane in lanes]) for lanes in known]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gt", type=Path, help=f"folder of {ENDING} files; drawn roads where not given")
    parser.add_argument("--images", type=int, default=40, help="how many (40)")
    given = parser.parse_args()
    cv2.setNumThreads(0)
    work = images(given.gt, given.images)
    ours(*work[0])  # fills the table of segments
    spent, ious = {}, {}
    for name, way in WAYS.items():
        began = time.process_time()
        ious[name] = [way(known, predicted) for known, predicted in work]
        spent[name] = (time.process_time() - began) / len(work)
    mine = list(WAYS)[-1]
    for name, seconds in spent.items():
        print(f"{name:52} {1000 * seconds:8.2f} ms an image {seconds / spent[mine]:6.1f}")
    lanes = sum(len(known) for known, _ in work)
    same = all(np.array_equal(a, b) for some in ious.values() for a, b in zip(some, ious[mine], strict=True))
    print(f"{len(work)} images, {lanes} lanes; the same IoUs: {'yes' if same else 'NO'}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()

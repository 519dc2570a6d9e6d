"""CULane's .lines.txt files: one lane a line, ``x y x y ...`` in pixels of the original image, and checks of labels.

Labels, predictions and the drawn roads have this format. Coordinates may lie outside the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from exp.data.source import DataError
from exp.data.text import read_lines_of

ENDING = ".lines.txt"
_FARTHEST = 1e6  # pixels; a coordinate beyond it is a broken file, not a lane that leaves the image


def read_lines(path: Path) -> list[np.ndarray]:
    """Returns the lanes of a file, float32 (points, 2) of (x, y) each; an empty line is a lane without points.

    Raises:
        DataError: The file cannot be read, or a line is no list of finite number pairs.
    """
    rows = read_lines_of(path, f"a {ENDING} file holds one lane a line, x y x y ...")
    return [_lane(row, path, number) for number, row in enumerate(rows, 1)]


def _lane(row: str, path: Path, number: int) -> np.ndarray:
    values = []
    for word in row.split():
        try:
            values.append(float(word))
        except ValueError:
            raise DataError(f"{path}, line {number}: {word!r} is no number; a lane is x y x y ...") from None
    if len(values) % 2:
        raise DataError(f"{path}, line {number}: {len(values)} numbers do not make x y pairs; the file is cut short")
    wild = next((value for value in values if not abs(value) <= _FARTHEST), None)
    if wild is not None:
        raise DataError(f"{path}, line {number}: a coordinate is {wild:g}; take the point out")
    return np.array(values, dtype=np.float32).reshape(-1, 2)


def write_lines(path: Path, lanes: Iterable[np.ndarray]) -> None:
    """Writes lanes (points, 2) with three digits after the point."""
    text = "".join(" ".join(f"{x:.3f} {y:.3f}" for x, y in lane) + "\n" for lane in lanes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@dataclass
class LabelReport:
    """What the checks of a part's labels counted; each field counts lanes unless its name has images.

    Attributes:
        images: Images looked at.
        lanes: Lanes kept.
        empty_images: Images without a lane.
        outside: Lanes with a point left or right of the image (allowed, cut off by the tokens).
        repeated: Lanes with several points in one row, of which the first was kept.
        unordered: Lanes whose rows were not monotonous; they were sorted from the bottom up.
        short: Lines with fewer than two points; left out.
        duplicates: Lanes that an image had twice; kept once.
        unsorted_images: Images whose lanes were not listed from left to right.
    """

    images: int = 0
    lanes: int = 0
    empty_images: int = 0
    outside: int = 0
    repeated: int = 0
    unordered: int = 0
    short: int = 0
    duplicates: int = 0
    unsorted_images: int = 0

    def problems(self) -> str:
        """Returns what was mended, such as ``2 unordered, 1 short``; an empty string where nothing was."""
        mended = ("repeated", "unordered", "short", "duplicates", "unsorted_images")
        return ", ".join(f"{getattr(self, name)} {name.replace('_', ' ')}" for name in mended if getattr(self, name))

    def add(self, other: LabelReport) -> None:
        """Adds another report's counts."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def clean(lanes: Sequence[np.ndarray], width: float, report: LabelReport) -> list[np.ndarray]:
    """Returns an image's lanes fit for training: at least two points, from the bottom up, one x a row, no lane twice.

    Args:
        lanes: (points, 2) each, as read.
        width: The image's width in pixels.
        report: Takes the counts.

    Returns:
        float32 lanes in the order they had.
    """
    kept: list[np.ndarray] = []
    for lane in lanes:
        if len(lane) < 2:
            report.short += 1
            continue
        steps = np.diff(lane[:, 1])
        if not ((steps <= 0).all() or (steps >= 0).all()):
            report.unordered += 1
        order = np.argsort(-lane[:, 1], kind="stable")
        lane = lane[order]
        single = np.concatenate([[True], np.diff(lane[:, 1]) < 0])
        if not single.all():
            report.repeated += 1
            lane = lane[single]
        if len(lane) < 2:
            report.short += 1
            continue
        if any(other.shape == lane.shape and np.array_equal(other, lane) for other in kept):
            report.duplicates += 1
            continue
        report.outside += bool((lane[:, 0] < 0).any() or (lane[:, 0] >= width).any())
        kept.append(np.ascontiguousarray(lane, dtype=np.float32))
    low = [x_at_bottom(lane, max((float(lane[0, 1]) for lane in kept), default=0.0)) for lane in kept]
    report.unsorted_images += low != sorted(low)
    report.images += 1
    report.lanes += len(kept)
    report.empty_images += not kept
    return kept


def x_at_bottom(lane: np.ndarray, y: float) -> float:
    """Returns the x at which a lane (points, 2), from the bottom up, crosses row ``y``.

    A lane that ends above the row is extended along its lowest quarter.
    """
    xs, ys = lane[:, 0].astype(float), lane[:, 1].astype(float)
    if ys[0] >= y:
        return float(np.interp(y, ys[::-1], xs[::-1]))
    far = min(len(lane) - 1, max(1, len(lane) // 4))
    slope = (xs[0] - xs[far]) / (ys[0] - ys[far])
    return float(xs[0] + slope * (y - ys[0]))

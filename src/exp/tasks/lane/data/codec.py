"""From an image's lanes to the model's table of tokens (slots x rows), and back to pixels of the original image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exp.tasks.lane.data.lines import x_at_bottom
from exp.tasks.lane.data.view import View
from exp.tasks.lane.options import LaneOptions
from exp.tasks.lane.tokens import build_tokens


@dataclass(frozen=True)
class Coded:
    """An image's lanes as the model sees them.

    Attributes:
        x: float (slots, rows) in input pixels, NaN where there is no point.
        ids: int64 (slots, rows) tokens.
        dropped: Lanes for which there was no slot.
        outside: Lanes in a slot of which no row is inside the image.
    """

    x: np.ndarray
    ids: np.ndarray
    dropped: int
    outside: int


class LaneCodec:
    """Samples lanes at fixed rows, puts them in slots and turns them into tokens.

    Args:
        view: Sizes of image and input.
        options: See ``LaneOptions``, of which those of tokens, rows (``steps``, ``order``) and slots are read.
        given: Options by name, in place of ``options``.

    Attributes:
        tokens: Tokens of one lane.
        rows: float (steps,), y of the rows in input pixels in the order in which they are written. They are spread
            evenly over the input's height, each in the middle of its share.
    """

    def __init__(self, view: View, options: LaneOptions | None = None, **given: Any) -> None:
        self.options = LaneOptions.of(options, given)
        self.view = view
        self.tokens = build_tokens(self.options, view.width)
        y = (np.arange(self.options.steps) + 0.5) * view.height / self.options.steps
        self.rows = y[::-1].copy() if self.options.order == "bottom_up" else y

    def encode(self, lanes: Sequence[np.ndarray]) -> Coded:
        """Returns the tokens of lanes (points, 2) of (x, y) in input pixels, each from the bottom up."""
        chosen = self._by_file(lanes) if self.options.slots == "file" else self._by_position(lanes)
        x = np.full((self.options.max_lanes, len(self.rows)), np.nan)
        for slot, lane in enumerate(chosen):
            if lane is not None:
                x[slot] = self._sample(lane)
        kept = sum(lane is not None for lane in chosen)
        inside = np.where((x >= 0) & (x < self.view.width), x, np.nan)
        outside = kept - int((~np.isnan(inside)).any(1).sum())
        return Coded(inside, self.tokens.encode(x), len(lanes) - kept, outside)

    def decode(self, ids: np.ndarray) -> list[np.ndarray]:
        """Returns the lanes of tokens (slots, rows): float32 (points, 2) in the original's pixels, from the bottom up.

        Lanes of fewer than two points are left out.
        """
        return self.lanes(self.tokens.decode(ids))

    def lanes(self, x: np.ndarray) -> list[np.ndarray]:
        """Returns lanes as ``decode`` does, from x (slots, rows) in input pixels, NaN where there is no point."""
        lanes = []
        for row in x:
            there = ~np.isnan(row)
            if there.sum() >= 2:
                points = np.stack([row[there], self.rows[there]], 1)
                lanes.append(self.view.to_original(points[np.argsort(-points[:, 1])]))
        return lanes

    def _sample(self, lane: np.ndarray) -> np.ndarray:
        """Returns a lane's x at the rows: linear between its points, NaN above and below them.

        A cubic through the points would overshoot at their ends and leave holes where it leaves the image.
        """
        y, x = lane[::-1, 1].astype(float), lane[::-1, 0].astype(float)
        if self.tokens.extrapolate:
            sampled = np.interp(self.rows, y, x)
            for end, inner in ((0, 1), (-1, -2)):
                slope = (x[inner] - x[end]) / (y[inner] - y[end])
                beyond = self.rows < y[0] if end == 0 else self.rows > y[-1]
                sampled[beyond] = x[end] + slope * (self.rows[beyond] - y[end])
            return sampled
        return np.interp(self.rows, y, x, left=np.nan, right=np.nan)

    def _by_file(self, lanes: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        count = self.options.max_lanes
        return [*lanes[:count], *[None] * (count - len(lanes))]

    def _by_position(self, lanes: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        middle, bottom = self.view.filled[1] / 2, float(self.view.filled[0])
        ordered = sorted(((x_at_bottom(lane, bottom), number) for number, lane in enumerate(lanes)))
        left = sum(x < middle for x, _ in ordered)
        count = self.options.max_lanes
        left_slots = (count + 1) // 2
        right_slots = count - left_slots
        if len(ordered) > count:  # the lanes farthest from the middle have to go
            first = min(max(left - left_slots, 0), len(ordered) - count)
            ordered, left = ordered[first : first + count], left - first
        left = min(max(left, len(ordered) - right_slots), left_slots)
        slots: list[np.ndarray | None] = [None] * count
        for place, (_, number) in enumerate(ordered):
            slots[left_slots - left + place] = lanes[number]
        return slots

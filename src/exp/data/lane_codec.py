"""Lanes of an image <-> the model's table of tokens: rows, lane slots, and the way back to pixels of the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exp.data.lines import x_at_bottom
from exp.data.view import View
from exp.metrics import culane
from exp.nn.lane_tokens import LaneTokens


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
        tokens: Tokens of one lane.
        view: Sizes of image and input.
        steps: Rows, spread evenly over the input's height, each in the middle of its share.
        order: ``bottom_up`` or ``top_down``, the order in which rows are generated.
        slots: ``position`` puts the lanes left of the image's middle (where they meet the bottom row) in the left
            half of the slots, nearest to the middle, the others in the right half; a side with more lanes than slots
            borrows from the other. ``file`` takes the order they stand in (notebook 001).
        max_lanes: Number of slots.
    """

    def __init__(self, tokens: LaneTokens, view: View, *, steps: int, order: str, slots: str, max_lanes: int) -> None:
        self.tokens = tokens
        self.view = view
        self.slots = slots
        self.max_lanes = max_lanes
        y = (np.arange(steps) + 0.5) * view.height / steps
        self.rows = y[::-1].copy() if order == "bottom_up" else y

    def encode(self, lanes: Sequence[np.ndarray]) -> Coded:
        """Lanes (points, 2) of (x, y) in input pixels, from the bottom up -> tokens."""
        chosen = self._by_file(lanes) if self.slots == "file" else self._by_position(lanes)
        x = np.full((self.max_lanes, len(self.rows)), np.nan)
        for slot, lane in enumerate(chosen):
            if lane is not None:
                x[slot] = self._sample(lane)
        kept = sum(lane is not None for lane in chosen)
        inside = np.where((x >= 0) & (x < self.view.width), x, np.nan)
        outside = kept - int((~np.isnan(inside)).any(1).sum())
        return Coded(inside, self.tokens.encode(x), len(lanes) - kept, outside)

    def decode(self, ids: np.ndarray) -> list[np.ndarray]:
        """Tokens (slots, rows) to lanes in the original's pixels, bottom up; those without two points are left out."""
        return self.lanes(self.tokens.decode(ids))

    def lanes(self, x: np.ndarray) -> list[np.ndarray]:
        """Like `decode`, from x (slots, rows) in input pixels, NaN where there is no point."""
        found = []
        for row in x:
            there = ~np.isnan(row)
            if there.sum() >= 2:
                points = np.stack([row[there], self.rows[there]], 1)
                found.append(self.view.to_original(points[np.argsort(-points[:, 1])]))
        return found

    def _sample(self, lane: np.ndarray) -> np.ndarray:
        """A lane's x at the rows: linear between its points, NaN above and below them.

        A cubic through the points overshoots at their ends and leaves holes where it leaves the image.
        """
        y, x = lane[::-1, 1].astype(float), lane[::-1, 0].astype(float)
        if self.tokens.extrapolate:
            found = np.interp(self.rows, y, x)
            for end, inner in ((0, 1), (-1, -2)):
                slope = (x[inner] - x[end]) / (y[inner] - y[end])
                beyond = self.rows < y[0] if end == 0 else self.rows > y[-1]
                found[beyond] = x[end] + slope * (self.rows[beyond] - y[end])
            return found
        return np.interp(self.rows, y, x, left=np.nan, right=np.nan)

    def _by_file(self, lanes: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        return [*lanes[: self.max_lanes], *[None] * (self.max_lanes - len(lanes))]

    def _by_position(self, lanes: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        middle, bottom = self.view.filled[1] / 2, float(self.view.filled[0])
        ordered = sorted(((x_at_bottom(lane, bottom), number) for number, lane in enumerate(lanes)))
        left = sum(x < middle for x, _ in ordered)
        left_slots = (self.max_lanes + 1) // 2
        right_slots = self.max_lanes - left_slots
        if len(ordered) > self.max_lanes:  # the lanes farthest from the middle have to go
            first = min(max(left - left_slots, 0), len(ordered) - self.max_lanes)
            ordered, left = ordered[first : first + self.max_lanes], left - first
        left = min(max(left, len(ordered) - right_slots), left_slots)
        slots: list[np.ndarray | None] = [None] * self.max_lanes
        for place, (_, number) in enumerate(ordered):
            slots[left_slots - left + place] = lanes[number]
        return slots


def ceiling(
    codec: LaneCodec, images: Sequence[Sequence[np.ndarray]], thresholds: Sequence[float] = (0.5, 0.75, 0.9)
) -> dict[float, float]:
    """F1 of labels that are encoded and decoded: what a model that makes no mistake can reach.

    Args:
        codec: Encodes and decodes.
        images: Lanes of each image in pixels of the original.
        thresholds: IoUs.

    Returns:
        F1 in percent by threshold.
    """
    view = codec.view
    totals = [culane.Count()] * len(thresholds)
    for lanes in images:
        ids = codec.encode([view.to_input(lane) for lane in lanes]).ids
        found = culane.score(codec.decode(ids), lanes, thresholds, height=view.image_height, width=view.image_width)
        totals = [total + one for total, one in zip(totals, found, strict=True)]
    return {threshold: total.f1 for threshold, total in zip(thresholds, totals, strict=True)}

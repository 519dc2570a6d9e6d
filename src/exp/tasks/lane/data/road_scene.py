"""A procedural road scene: a flat road in perspective, its markings, what disturbs them, and the lanes' labels.

Geometry is in metres on the road (X to the right, Z ahead) and a pinhole camera; labels are in the pixels of the
original image, as CULane's are, one point every ten rows from the bottom up. Painting is done in the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from exp.tasks.lane.data.view import View

SHARES = {
    "normal": 0.36,
    "crowd": 0.16,
    "hlight": 0.06,
    "shadow": 0.08,
    "noline": 0.06,
    "arrow": 0.06,
    "curve": 0.10,
    "cross": 0.04,
    "night": 0.08,
}
"""Share of each of CULane's categories."""
CAMERA_HEIGHT = 1.4
LANE_WIDTH = 3.5
LINE_WIDTH = 0.18
_NEAR, _FAR = 3.0, 90.0
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_ROW_STEP = 10


@dataclass(frozen=True)
class Scene:
    """A painted scene.

    Attributes:
        image: uint8 (3, H, W) network input, RGB.
        lanes: float32 (points, 2) of (x, y) in the original image each, from left to right; none at a crossing.
        category: One of CULane's nine.
    """

    image: np.ndarray
    lanes: list[np.ndarray]
    category: str


@dataclass(frozen=True)
class _Camera:
    """Pinhole camera in pixels of the original image; the road's centre line bends by ``curvature`` (1/m)."""

    horizon: float
    focal: float
    centre: float
    offset: float
    yaw: float
    curvature: float

    def project(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Returns the (n, 2) pixels of road coordinates in metres."""
        across = x - self.offset + self.yaw * z + self.curvature * z**2 / 2
        return np.stack([self.centre + self.focal * across / z, self.horizon + self.focal * CAMERA_HEIGHT / z], -1)

    def distance(self, row: np.ndarray) -> np.ndarray:
        """Returns the distance Z at which the road meets a row below the horizon."""
        return self.focal * CAMERA_HEIGHT / (row - self.horizon)


def labels(key: Sequence[int], view: View, category: str | None = None) -> tuple[list[np.ndarray], str]:
    """Returns the lanes and the category of a scene, without painting it; see ``make``."""
    road = _Road(key, view, category)
    return road.labels(), road.category


def make(key: Sequence[int], view: View, category: str | None = None) -> Scene:
    """Returns a painted scene.

    Args:
        key: Everything random follows from these numbers.
        view: Original size and network input.
        category: One of ``SHARES``; drawn by those shares where None.
    """
    road = _Road(key, view, category)
    # numpy's RandomState has a stream that is frozen for good.
    return Scene(_Painter(np.random.RandomState([*key, 1]), view, road).image(), road.labels(), road.category)


class _Road:
    """The place of the camera and of the lane lines on the road."""

    def __init__(self, key: Sequence[int], view: View, category: str | None) -> None:
        rng = np.random.RandomState([*key, 0])
        drawn = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        self.view, self.category = view, category or drawn
        height, width = view.image_height, view.image_width
        gentle, sharp = rng.normal(0, 0.0008), rng.uniform(0.004, 0.010) * rng.choice([-1, 1])
        self.camera = _Camera(
            horizon=height * rng.uniform(0.44, 0.50),
            focal=width * rng.uniform(0.75, 0.9),
            centre=width * rng.uniform(0.47, 0.53),
            offset=rng.uniform(-0.9, 0.9),
            yaw=rng.uniform(-0.06, 0.06),
            curvature=float(sharp if self.category == "curve" else gentle),
        )
        left, right = rng.randint(1, 3), rng.randint(1, 3)
        self.lines = [(k + 0.5) * LANE_WIDTH for k in range(-left, right)]

    def labels(self) -> list[np.ndarray]:
        """Returns the lines in the image, from its bottom to 22 of 590 rows below the horizon; none at a crossing."""
        if self.category == "cross":
            return []
        camera, height, width = self.camera, self.view.image_height, self.view.image_width
        rows = np.arange(height, camera.horizon + height * 0.037, -_ROW_STEP, dtype=float)
        z = camera.distance(rows)
        lanes = []
        for x in self.lines:
            points = camera.project(np.full_like(z, x), z)
            margin = 0.02 * width
            inside = (points[:, 0] > -margin) & (points[:, 0] < width + margin)
            if inside.sum() >= 4:
                first, last = np.flatnonzero(inside)[[0, -1]]
                lanes.append(points[first : last + 1].astype(np.float32))
        return lanes


class _Painter:
    def __init__(self, rng: np.random.RandomState, view: View, road: _Road) -> None:
        self.rng, self.view = rng, view
        self.category, self.camera, self.lines = road.category, road.camera, road.lines
        self.canvas = np.zeros((view.height, view.width, 3), dtype=np.float32)
        self.depths = self._depths()

    def image(self) -> np.ndarray:
        self._ground()
        if self.category == "cross":
            self._zebra()
        else:
            self._markings()
        if self.category == "arrow":
            self._arrow()
        if self.category == "shadow" or self.rng.rand() < 0.1:
            self._shadows()
        cars = {"crowd": self.rng.randint(3, 7)}.get(self.category, self.rng.randint(0, 2))
        for distance in sorted(self.rng.uniform(7, 45, size=cars), reverse=True):
            self._car(distance)
        self._light()
        pixels = np.clip(self.canvas, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _depths(self) -> np.ndarray:
        """Returns the distances at which outlines are sampled, evenly over the image's rows."""
        nearest = self.camera.distance(np.array(self.view.image_height * 1.15))
        return 1 / np.linspace(1 / max(_NEAR, float(nearest)), 1 / _FAR, 48)

    def _fill(self, x: np.ndarray, z: np.ndarray, colour: np.ndarray | float, strength: float = 1.0) -> None:
        """Paints a polygon of road points, anti-aliased."""
        self._fill_pixels(self.camera.project(x, z), colour, strength)

    def _fill_pixels(self, points: np.ndarray, colour: np.ndarray | float, strength: float = 1.0) -> None:
        inside = np.clip(self.view.to_input(points), -4000, 4000)
        left, top = np.maximum(np.floor(inside.min(0)).astype(int) - 1, 0)
        right, bottom = np.ceil(inside.max(0)).astype(int) + 2
        region = self.canvas[top : max(bottom, 0), left : max(right, 0)]
        if region.size:
            fixed = np.rint((inside - [left, top]) * (1 << _SHIFT)).astype(np.int32)
            mask = np.zeros(region.shape[:2], dtype=np.uint8)
            cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
            _blend(region, mask * np.float32(strength / 255), colour)

    def _strip(self, left: float, right: float, colour: np.ndarray | float, strength: float = 1.0) -> None:
        """Paints the road between two lateral positions, from near to far."""
        z = self.depths
        sides = np.concatenate([np.full_like(z, left), np.full_like(z, right)])
        self._fill(sides, np.concatenate([z, z[::-1]]), colour, strength)

    def _noise(self, cells: int, strength: float) -> np.ndarray:
        coarse = self.rng.normal(0, strength, (cells, cells * 3)).astype(np.float32)
        return cv2.resize(coarse, (self.view.width, self.view.height), interpolation=cv2.INTER_CUBIC)[..., None]

    def _ground(self) -> None:
        rng = self.rng
        self.canvas[:] = rng.uniform(110, 220) + rng.uniform(-15, 15, 3)  # sky, then everything below the horizon
        size = (self.view.image_width * 2.0, self.view.image_height * 2.0)
        corners = [
            [-size[0], self.camera.horizon],
            [size[0], self.camera.horizon],
            [size[0], size[1]],
            [-size[0], size[1]],
        ]
        self._fill_pixels(np.array(corners), rng.uniform(60, 130) + rng.uniform(-25, 25, 3))
        self.canvas += self._noise(12, 14)
        shoulder = rng.uniform(0.4, 2.5, 2)
        self._strip(
            self.lines[0] - shoulder[0], self.lines[-1] + shoulder[1], rng.uniform(60, 120) + rng.uniform(-6, 6, 3)
        )
        self.canvas += self._noise(20, 4) + self._noise(4, 5)

    def _markings(self) -> None:
        rng = self.rng
        worn = rng.uniform(0.55, 1.0) if self.category != "noline" else rng.uniform(0.04, 0.15)
        for number, x in enumerate(self.lines):
            edge = number in (0, len(self.lines) - 1)
            yellow = edge and rng.rand() < 0.25
            colour = np.array([225, 185, 60] if yellow else [235, 235, 230], dtype=np.float32)
            half = LINE_WIDTH / 2 * rng.uniform(0.8, 1.4)
            if edge and rng.rand() < 0.6:
                self._strip(x - half, x + half, colour, worn)
                continue
            period, on = rng.uniform(8, 14), rng.uniform(0.4, 0.6)
            for start in np.arange(_NEAR - rng.uniform(0, period), _FAR, period):
                z = np.linspace(max(start, 2.0), start + on * period, 6)
                if z[-1] > z[0] and z[-1] > 2.0:
                    sides = np.concatenate([np.full_like(z, x - half), np.full_like(z, x + half)])
                    self._fill(sides, np.concatenate([z, z[::-1]]), colour, worn)

    def _zebra(self) -> None:
        near = self.rng.uniform(7, 14)
        z = np.array([near, near, near + 3.5, near + 3.5])
        for x in np.arange(self.lines[0], self.lines[-1], 1.0):
            self._fill(np.array([x, x + 0.5, x + 0.5, x]), z, 225.0, 0.85)

    def _arrow(self) -> None:
        base = self.rng.uniform(7, 16)
        turn = self.rng.choice([-0.7, 0.0, 0.7])
        self._fill(np.array([-0.12, 0.12, 0.12, -0.12]), base + np.array([0, 0, 2.5, 2.5]), 230.0, 0.85)
        head_x = np.array([-0.45, 0.45, turn])
        self._fill(head_x, base + np.array([2.4, 2.4, 4.2]), 230.0, 0.85)

    def _shadows(self) -> None:
        for _ in range(self.rng.randint(1, 4)):
            near = self.rng.uniform(5, 30)
            x = np.array([-15, 15, 15, -15]) + self.rng.uniform(-12, 12)
            slant = self.rng.uniform(-4, 4, 4)
            z = np.maximum(near + np.array([0, 0, 1, 1]) * self.rng.uniform(2, 8) + slant * 0.5, 3.0)
            self._fill(x + slant, z, 15.0, self.rng.uniform(0.4, 0.7))

    def _car(self, distance: float) -> None:
        rng, camera = self.rng, self.camera
        lane = rng.choice([x + LANE_WIDTH / 2 for x in self.lines[:-1]] or [0.0]) + rng.normal(0, 0.35)
        if abs(lane - camera.offset) < 1.5 and distance < 11:
            distance += 8  # a car right in front of the camera would hide the road
        low = camera.project(np.array([lane - 0.9, lane + 0.9]), np.array([distance, distance]))
        tall = (low[1, 0] - low[0, 0]) * rng.uniform(0.65, 0.9)
        (left, bottom), (right, _) = low
        colour = rng.uniform(20, 220) + rng.uniform(-20, 20, 3)

        def box(x0: float, x1: float, y0: float, y1: float, shade: np.ndarray | float) -> None:
            wide = right - left
            xs = left + wide * np.array([x0, x1, x1, x0])
            ys = bottom - tall * np.array([y0, y0, y1, y1])
            self._fill_pixels(np.stack([xs, ys], 1), shade)

        box(-0.05, 1.05, -0.05, 0.08, 20.0)
        box(0.0, 1.0, 0.05, 0.6, colour)
        box(0.12, 0.88, 0.6, 1.0, colour * 0.9)
        box(0.2, 0.8, 0.62, 0.92, 40.0)
        box(0.02, 0.18, 0.35, 0.48, np.array([190.0, 40.0, 30.0]))
        box(0.82, 0.98, 0.35, 0.48, np.array([190.0, 40.0, 30.0]))

    def _light(self) -> None:
        rng = self.rng
        rows, columns = np.mgrid[0 : self.view.height, 0 : self.view.width].astype(np.float32)
        if self.category == "hlight":
            x, y = rng.uniform(0.2, 0.8) * self.view.width, rng.uniform(-0.1, 0.25) * self.view.height
            reach = rng.uniform(0.3, 0.6) * self.view.width
            glare = np.exp(-((columns - x) ** 2 + 2 * (rows - y) ** 2) / (2 * (reach / 2) ** 2))
            self.canvas = 0.75 * self.canvas + 50
            _blend(self.canvas, np.float32(0.85) * glare, 255.0)
        elif self.category == "night":
            x, y = rng.uniform(0.4, 0.6) * self.view.width, self.view.height
            cone = np.exp(
                -(((columns - x) / (0.45 * self.view.width)) ** 2) - ((rows - y) / (0.8 * self.view.height)) ** 2
            )
            self.canvas *= (0.18 + 0.5 * cone)[..., None]
        else:
            self.canvas *= np.float32(rng.uniform(0.75, 1.15))
        self.canvas += rng.normal(0, rng.uniform(1, 5), self.canvas.shape).astype(np.float32)


def _blend(canvas: np.ndarray, weight: np.ndarray, colour: np.ndarray | float) -> None:
    """Moves ``canvas`` (H, W, 3) towards a colour in place, by a weight (H, W) in 0..1."""
    canvas += weight[..., None] * (np.asarray(colour, dtype=np.float32) - canvas)

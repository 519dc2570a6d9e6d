"""Silhouettes of a walking body of capsules, aligned as CASIA-B's are: full height, centred on the mass's middle."""

from __future__ import annotations

import numpy as np

from exp.tasks.gait.data.walker_body import Capsules, Knobs, capsules, generator, walk_of

_TILT = np.radians(6.0)  # the cameras look slightly down
_FAR = 4.0  # pixels of a frame of 64 rows beyond which no noise reaches
_NOISE = 0.35  # standard deviation of the edge, in pixels of a frame of 64 rows


def silhouettes(
    seed: int,
    subject: int,
    sequence: int,
    view: str,
    *,
    frames: int,
    height: int,
    width: int,
    knobs: Knobs,
    fps: float = 25.0,
) -> np.ndarray:
    """Returns the frames of one walk from one angle, bool (T, height, width); the same arguments give the same frames.

    Args:
        seed: The population's seed.
        subject: Person, 1 and up.
        sequence: Place in ``exp.tasks.gait.data.walker_body.TYPES``.
        view: Angle of the camera in degrees, such as 090: 000 sees the person come, 180 go.
        frames: Middle number of frames, see ``exp.tasks.gait.data.walker_body.length_of``.
        height: Rows.
        width: Columns.
        knobs: How far people differ.
        fps: Frames a second.
    """
    walk = walk_of(seed, subject, sequence, frames, knobs, fps)
    draws = generator(seed, subject, sequence, view, "camera")
    body = capsules(walk)
    start, end, radii = _projected(body, np.radians(float(view)))
    low, high = _extent(start, end, radii)
    pixel = (high - low) / height
    margin = width // 4
    columns = (np.arange(width + 2 * margin) + 0.5 - width / 2 - margin).astype(np.float32)
    rows = (height - 0.5 - np.arange(height)).astype(np.float32)
    edge = _edge(start, end, radii, low, pixel, rows, columns)
    # The edge's noise is in pixels of the frame, so that all sizes look alike.
    edge += (_smooth(draws, edge.shape) * _NOISE + walk.sharpness) * (height / 64)
    # Segmentation errors move the middle of the mass, by the same in the whole walk.
    return _centred(edge < 0, width, round(draws.uniform(-knobs.shift, knobs.shift) * height))


def _projected(body: Capsules, azimuth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns starts and ends (k, T, 2) in the image plane, right and up, and radii (k, 2)."""
    across = np.array([np.sin(azimuth), np.cos(azimuth), 0.0])
    upward = np.array([np.cos(azimuth) * np.sin(_TILT), -np.sin(azimuth) * np.sin(_TILT), np.cos(_TILT)])
    plane = np.stack([across, upward], axis=1)
    # A flat cross-section shows its width from the front and its depth from the side.
    seen = np.sqrt(np.cos(azimuth) ** 2 + (body.flatness * np.sin(azimuth)) ** 2)
    return body.start @ plane, body.end @ plane, body.radii * seen[:, None]


def _extent(start: np.ndarray, end: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest point of every frame, (T,) each."""
    ends = np.stack([start[..., 1], end[..., 1]])
    reach = radii.T[:, :, None]
    return (ends - reach).min((0, 1)), (ends + reach).max((0, 1))


def _edge(
    start: np.ndarray,
    end: np.ndarray,
    radii: np.ndarray,
    low: np.ndarray,
    pixel: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """Returns the distance to the body's edge in pixels, float32 (T, rows, columns).

    It is negative inside and infinite well outside.
    """
    nearest = np.full((len(low), len(rows), len(columns)), np.inf, dtype=np.float32)
    size = pixel.astype(np.float32)[:, None, None]
    for first, last, (radius, tip) in zip(start, end, radii, strict=True):
        ax, ay = (first[:, 0] / pixel).astype(np.float32), ((first[:, 1] - low) / pixel).astype(np.float32)
        bx, by = (last[:, 0] / pixel).astype(np.float32), ((last[:, 1] - low) / pixel).astype(np.float32)
        reach = max(radius, tip) / pixel.min() + _FAR * len(rows) / 64 + 1
        up = np.flatnonzero((rows >= min(ay.min(), by.min()) - reach) & (rows <= max(ay.max(), by.max()) + reach))
        across = np.flatnonzero(
            (columns >= min(ax.min(), bx.min()) - reach) & (columns <= max(ax.max(), bx.max()) + reach)
        )
        if not len(up) or not len(across):
            continue
        box = (slice(None), slice(up[0], up[-1] + 1), slice(across[0], across[-1] + 1))
        px = columns[None, None, box[2]] - ax[:, None, None]
        py = rows[None, box[1], None] - ay[:, None, None]
        dx, dy = (bx - ax)[:, None, None], (by - ay)[:, None, None]
        along = (px * dx + py * dy) / np.maximum(dx * dx + dy * dy, np.float32(1e-6))
        np.clip(along, 0, 1, out=along)
        px, py = px - along * dx, py - along * dy
        away = np.sqrt(px * px + py * py)
        away -= (np.float32(radius) + np.float32(tip - radius) * along) / size
        np.minimum(nearest[box], away, out=nearest[box])
    return nearest


def _smooth(draws: np.random.RandomState, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns noise of unit size whose grains are about an eighth of the frame, float32 (T, rows, columns)."""
    frames, rows, columns = shape
    grains = draws.standard_normal((frames, 8, 8)).astype(np.float32)
    return _weights(rows) @ grains @ _weights(columns).T


def _weights(length: int) -> np.ndarray:
    """Returns cubic-spline weights from 8 grains to a side, float32 (length, 8), rows of unit length."""
    place = (np.arange(length) + 0.5) / length * 8 - 0.5
    away = np.abs(place[:, None] - np.arange(8))
    near = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.where(away < 2, (2 - away) ** 3 / 6, 0.0))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def _centred(masks: np.ndarray, width: int, shift: int) -> np.ndarray:
    """Cuts ``width`` columns around the column at which half of the mass is passed, moved by some columns."""
    mass = np.cumsum(masks.sum(1), axis=1)
    middle = (mass * 2 > mass[:, -1:]).argmax(1)
    left = np.clip(middle + shift - width // 2, 0, masks.shape[2] - width)
    return np.take_along_axis(masks, (left[:, None] + np.arange(width))[:, None, :], axis=2)

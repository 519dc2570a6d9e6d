"""Pictures of a lane test: frames with the labels and with what was written over them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from exp.metrics.pictures import write_image
from exp.tasks.lane.data.view import View

COLOURS = ((255, 200, 0), (0, 220, 90), (60, 140, 255), (230, 60, 200), (250, 90, 60), (120, 230, 240))
"""Of predicted lanes, in BGR."""
_WIDTH = 640  # pixels of a frame on a sheet
_STRIP = 22  # pixels of the line above it
_COLUMNS = 2
_QUALITY = 88  # of the JPEG


def draw_lanes(canvas: np.ndarray, lanes: Sequence[np.ndarray], labels: Sequence[np.ndarray] = ()) -> None:
    """Draws lanes in colour, and labels below them in white with a dark edge.

    Args:
        canvas: uint8 (H, W, 3) in BGR; it is drawn on.
        lanes: Predicted lanes, (points, 2) of (x, y) in its pixels.
        labels: The right ones, likewise.
    """
    thickness = max(1, round(canvas.shape[1] / 300))
    for extra, colour in ((4, (0, 0, 0)), (2, (255, 255, 255))):
        for lane in labels:
            cv2.polylines(canvas, [_points(lane)], False, colour, thickness + extra, cv2.LINE_AA)
    for number, lane in enumerate(lanes):
        cv2.polylines(canvas, [_points(lane)], False, COLOURS[number % len(COLOURS)], thickness, cv2.LINE_AA)


def draw_frames(
    path: Path, view: View, frames: Sequence[tuple[str, np.ndarray, list[np.ndarray], list[np.ndarray]]]
) -> None:
    """Draws a sheet of frames, labels in white and predicted lanes in colour; nothing where there are none.

    Args:
        path: The JPEG file.
        view: How the network's input came of the original.
        frames: What stands above each, its network input uint8 (3, H, W), and predicted lanes and labels in pixels of
            the original.

    Raises:
        OSError: The file cannot be written.
    """
    if not frames:
        return
    rows, columns = view.filled
    scale = _WIDTH / columns
    height = round(rows * scale)
    lines = -(-len(frames) // _COLUMNS)
    sheet = np.full((lines * (height + _STRIP), min(len(frames), _COLUMNS) * _WIDTH, 3), 255, dtype=np.uint8)
    for place, (text, pixels, lanes, labels) in enumerate(frames):
        image = np.ascontiguousarray(pixels[::-1, :rows, :columns].transpose(1, 2, 0))
        canvas = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_LINEAR)
        draw_lanes(canvas, *([view.to_input(lane) * scale for lane in some] for some in (lanes, labels)))
        top, left = place // _COLUMNS * (height + _STRIP), place % _COLUMNS * _WIDTH
        sheet[top + _STRIP : top + _STRIP + height, left : left + _WIDTH] = canvas
        plain = text.encode("ascii", "replace").decode()
        cv2.putText(sheet, plain, (left + 4, top + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    write_image(path, sheet, cv2.IMWRITE_JPEG_QUALITY, _QUALITY)


def _points(lane: np.ndarray) -> np.ndarray:
    return np.rint(lane).astype(np.int32)

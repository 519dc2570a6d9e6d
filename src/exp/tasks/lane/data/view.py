"""From an image of a set to the network's input and back: rows cut off at the top, then resized or padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class View:
    """How an original image becomes a network input.

    Attributes:
        image_height: Rows of the original image.
        image_width: Columns of the original image.
        crop_top: Rows of it that are cut off at the top.
        height: Rows of the network's input.
        width: Columns of the network's input.
        fit: ``stretch`` fills the input; ``pad`` keeps the aspect ratio and leaves the right or lower rest black.

    Raises:
        ValueError: Nothing is left below the crop.
    """

    image_height: int
    image_width: int
    crop_top: int
    height: int
    width: int
    fit: Literal["stretch", "pad"] = "stretch"

    def __post_init__(self) -> None:
        if not 0 <= self.crop_top < self.image_height:
            raise ValueError(f"crop_top={self.crop_top}: leaves nothing of image_height={self.image_height} rows")

    @property
    def scale(self) -> tuple[float, float]:
        """How many input pixels an original pixel becomes, in x and y."""
        x, y = self.width / self.image_width, self.height / (self.image_height - self.crop_top)
        return (x, y) if self.fit == "stretch" else (min(x, y), min(x, y))

    @property
    def filled(self) -> tuple[int, int]:
        """Rows and columns of the input that the image fills."""
        x, y = self.scale
        return round((self.image_height - self.crop_top) * y), round(self.image_width * x)

    def to_input(self, lane: np.ndarray) -> np.ndarray:
        """Returns points (n, 2) of (x, y) in the original image as float32 points in the input."""
        return ((lane - [0.0, self.crop_top]) * self.scale).astype(np.float32)

    def to_original(self, lane: np.ndarray) -> np.ndarray:
        """Returns points (n, 2) of (x, y) in the input as float32 points in the original image."""
        return (lane / self.scale + [0.0, self.crop_top]).astype(np.float32)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the uint8 (3, height, width) input of a uint8 (image_height, image_width, 3) image."""
        import cv2

        rows, columns = self.filled
        below = pixels[self.crop_top :]
        smaller = rows * columns < below.shape[0] * below.shape[1]
        resized = cv2.resize(below, (columns, rows), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        whole = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        whole[:rows, :columns] = resized
        return np.ascontiguousarray(whole.transpose(2, 0, 1))

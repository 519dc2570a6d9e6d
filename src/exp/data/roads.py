"""Roads: procedural scenes with exact labels, a surrogate for CULane where the real set is not at hand.

Sizes, label format, categories and crop are CULane's; the pictures are drawn (`exp.data.road_scene`) and much simpler.
Numbers on it say whether a model learns, not how good it is on real roads.
"""

from __future__ import annotations

import numpy as np

from exp.data.fingerprint import of_names
from exp.data.lane_source import Frame, LaneSource
from exp.data.view import View

_VERSION = 1  # to be raised whenever the same number would give another scene
_PARTS = ("train", "val", "test")
_OVERFIT_FROM = 64  # scenes among which those to overfit on are chosen


class Roads(LaneSource):
    """Scenes by number: every part has its own numbers, and a scene's follows from its number alone.

    Args:
        train_images: Scenes of the training part.
        val_images: Scenes of the validation part.
        test_images: Scenes of the test part.
        image_height: Rows of the original image, in whose pixels the labels are.
        image_width: Columns of the original image.
        input_height: Rows of the network's input.
        input_width: Columns of the network's input.
        crop_top: Rows cut off at the top.
        fit: See `View`.
        overfit: See `LaneSource`.

    Raises:
        ValueError: A number is out of range.
    """

    name = "roads"

    def __init__(
        self,
        *,
        train_images: int = 2000,
        val_images: int = 200,
        test_images: int = 200,
        image_height: int = 590,
        image_width: int = 1640,
        input_height: int = 128,
        input_width: int = 320,
        crop_top: int = 250,
        fit: str = "stretch",
        overfit: int = 0,
    ) -> None:
        super().__init__(View(image_height, image_width, crop_top, input_height, input_width, fit), overfit)
        self.counts = dict(zip(_PARTS, (train_images, val_images, test_images), strict=True))

    def check(self) -> str:
        """Covers the generator's version; the scenes need no files."""
        return of_names([("roads", _VERSION)])

    def _frames(self) -> dict[str, list[Frame]]:
        from exp.data.road_scene import labels

        found = {}
        for part, count in self.counts.items():
            frames = []
            for index in range(min(count, _OVERFIT_FROM) if self.overfit else count):
                lanes, category = labels(_key(part, index), self.view)
                frames.append(Frame(f"{part}/{index:05d}.png", lanes, category))
            found[part] = frames
        return found

    def _decode(self, frame: Frame) -> np.ndarray:
        from exp.data.road_scene import make

        part, _, file = frame.name.partition("/")
        return make(_key(part, int(file.split(".")[0])), self.view).image


def _key(part: str, index: int) -> tuple[int, int, int]:
    return _VERSION, _PARTS.index(part), index

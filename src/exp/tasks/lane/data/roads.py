"""Roads: procedural scenes with exact labels, a surrogate for CULane where the real set is not at hand.

Sizes, label format and categories are CULane's; the pictures are drawn (``exp.tasks.lane.data.road_scene``) and much
simpler. Scores on them show whether a model learns, not how good it is on real roads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exp.data.fingerprint import of_names
from exp.tasks.lane.data.source import Frame, LaneSource
from exp.tasks.lane.options import RoadsOptions

_VERSION = 1  # to be raised whenever the same number would give another scene
_PARTS = ("train", "val", "test")
_OVERFIT_FROM = 64  # scenes among which those to overfit on are chosen


class Roads(LaneSource):
    """Numbered scenes: every part has numbers of its own, and all of a scene follows from its number.

    Args:
        options: See ``RoadsOptions``.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: The crop leaves nothing of the image.
    """

    def __init__(self, options: RoadsOptions | None = None, **given: Any) -> None:
        options = RoadsOptions.of(options, given)
        super().__init__(options)
        self.counts = dict(zip(_PARTS, (options.train_images, options.val_images, options.test_images), strict=True))

    def check(self) -> str:
        """Returns a fingerprint of the generator's version; the scenes need no files."""
        return of_names([("roads", _VERSION)])

    def _frames(self) -> dict[str, list[Frame]]:
        from exp.tasks.lane.data.road_scene import labels  # draws with OpenCV, which planning a sweep does not load

        parts = {}
        for part, count in self.counts.items():
            frames = []
            for index in range(min(count, _OVERFIT_FROM) if self.options.overfit else count):
                lanes, category = labels(_key(part, index), self.view)
                frames.append(Frame(f"{part}/{index:05d}.png", lanes, category))
            parts[part] = frames
        return parts

    def _decode(self, frame: Frame) -> np.ndarray:
        from exp.tasks.lane.data.road_scene import make

        part, _, file = frame.name.partition("/")
        return make(_key(part, int(file.split(".")[0])), self.view).image


def _key(part: str, index: int) -> tuple[int, int, int]:
    return _VERSION, _PARTS.index(part), index

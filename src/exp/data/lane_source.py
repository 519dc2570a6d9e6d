"""What the lane sets have in common: parts of images with their lanes, checked, and the frames to overfit on."""

from __future__ import annotations

import abc
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from exp.data.cache import cache_folder, cached_array
from exp.data.fingerprint import of_names
from exp.data.lines import LabelReport, clean
from exp.data.view import View

_log = logging.getLogger(__name__)
_CACHE_FORMAT = 1  # to be raised whenever the same files would be decoded otherwise
_IN_MEMORY = 256  # images that are decoded anew rather than kept in a file
OVERFIT_LANES = 3
"""Lanes a frame has to have to be overfitted on, where the set has such frames."""


@dataclass(frozen=True)
class LaneSplit:
    """One part of a lane set.

    Attributes:
        images: uint8 (N, 3, H, W) network inputs.
        lanes: Lanes of each image, float32 (points, 2) of (x, y) in pixels of the original image, from the bottom up.
        names: Name of each image, such as ``driver_x/y.MP4/00000.jpg``.
        categories: Category of each image, empty where the set has none.
        report: What the label checks found.
    """

    images: np.ndarray
    lanes: list[list[np.ndarray]]
    names: list[str]
    categories: list[str]
    report: LabelReport

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Frame:
    """An image before it is decoded.

    Attributes:
        name: Its name, unique in the set.
        lanes: Its lanes as read.
        category: Its category, empty where the set has none.
    """

    name: str
    lanes: list[np.ndarray] = field(default_factory=list)
    category: str = ""


class LaneSource(abc.ABC):
    """A reader of a lane set; subclasses list the frames and decode one.

    Args:
        view: How an original image becomes a network input.
        overfit: Train, validate and test on this many frames of the training part, spread evenly over those with at
            least three lanes; 0 takes the set's own parts.
    """

    name: str

    def __init__(self, view: View, overfit: int) -> None:
        if overfit < 0:
            raise ValueError(f"overfit must be at least 0, not {overfit}")
        self.view = view
        self.overfit = overfit

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, H, W) of a network input."""
        return 3, self.view.height, self.view.width

    @abc.abstractmethod
    def check(self) -> str:
        """See `exp.data.source.Source.check`."""

    @abc.abstractmethod
    def _frames(self) -> dict[str, list[Frame]]:
        """Frames of train, val and test."""

    @abc.abstractmethod
    def _decode(self, frame: Frame) -> np.ndarray:
        """uint8 (3, H, W) network input of a frame."""

    def load(self) -> dict[str, LaneSplit]:
        """The parts ``train``, ``val`` and ``test``; the labels' problems are counted and logged once a part.

        Raises:
            DataError: Files are missing or damaged.
        """
        frames = self._frames()
        if self.overfit:
            chosen = spread(frames["train"], self.overfit)
            part = self._split("train", chosen)
            return {"train": part, "val": part, "test": part}
        return {part: self._split(part, list(members)) for part, members in frames.items()}

    def _split(self, part: str, frames: list[Frame]) -> LaneSplit:
        report = LabelReport()
        lanes = [clean(frame.lanes, self.view.image_width, report) for frame in frames]
        if report.problems():
            _log.warning("%s %s: label checks mended %s", self.name, part, report.problems())
        return LaneSplit(self._images(frames), lanes, [f.name for f in frames], [f.category for f in frames], report)

    def _images(self, frames: Sequence[Frame]) -> np.ndarray:
        def fill(array: np.ndarray) -> None:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                for row, image in enumerate(pool.map(self._decode, frames)):
                    array[row] = image

        shape = (len(frames), *self.shape)
        if len(frames) <= _IN_MEMORY:
            array = np.zeros(shape, dtype=np.uint8)
            fill(array)
            return array
        view = self.view
        key = of_names([(frame.name, row) for row, frame in enumerate(frames)])
        original = f"{view.image_width}x{view.image_height}-{view.crop_top}"
        sizes = f"{original}-{view.width}x{view.height}-{view.fit}-v{_CACHE_FORMAT}"
        return cached_array(cache_folder() / self.name / self.check() / f"{key}-{sizes}.npy", shape, fill)


def spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """``count`` frames, evenly spaced over those with at least three lanes (or as many as any frame has).

    Neighbouring frames of a clip look alike: a model that ignores the image could overfit on them.
    """
    most = max((len(frame.lanes) for frame in frames), default=0)
    rich = [frame for frame in frames if len(frame.lanes) >= min(OVERFIT_LANES, most)]
    if count > len(rich):
        raise ValueError(
            f"data.overfit={count}: only {len(rich)} training frames have {min(OVERFIT_LANES, most)} lanes"
        )
    return [rich[(2 * number + 1) * len(rich) // (2 * count)] for number in range(count)]

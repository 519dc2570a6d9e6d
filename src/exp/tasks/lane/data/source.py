"""What the readers of lane sets have in common: parts of images with their checked lanes, and frames to overfit on."""

from __future__ import annotations

import abc
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exp.cells.counted import counted
from exp.data.cache import cache_folder, cached_array
from exp.data.decode import read_colour
from exp.data.fingerprint import of_names
from exp.data.source import DataError
from exp.tasks.lane.data.lines import LabelReport, clean
from exp.tasks.lane.data.view import View
from exp.tasks.lane.options import LaneDataOptions

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
        report: What the label checks counted.
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
        options: See ``LaneDataOptions``; those of batches and augmentation are not read here.

    Attributes:
        view: How an original image becomes a network input.

    Raises:
        ValueError: The crop leaves nothing of the image.
    """

    def __init__(self, options: LaneDataOptions) -> None:
        self.options = options
        self.view = View(
            options.image_height,
            options.image_width,
            options.crop_top,
            options.input_height,
            options.input_width,
            options.fit,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, H, W) of a network input."""
        return 3, self.view.height, self.view.width

    @abc.abstractmethod
    def check(self) -> str:
        """Returns the set's fingerprint, see ``exp.data.source.Source.check``."""

    @abc.abstractmethod
    def _frames(self) -> dict[str, list[Frame]]:
        """Returns the frames of train, val and test."""

    @abc.abstractmethod
    def _decode(self, frame: Frame) -> np.ndarray:
        """Returns a frame's network input, uint8 (3, H, W)."""

    def _read_image(self, path: Path) -> np.ndarray:
        """Returns the network input, uint8 (3, H, W), of an image file.

        Raises:
            DataError: The file cannot be read, or the image has another size than the options say.
        """
        pixels = read_colour(path)
        wanted = (self.view.image_height, self.view.image_width)
        if pixels.shape[:2] != wanted:
            raise DataError(
                f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels, expected {wanted[1]}x{wanted[0]}; set"
                " data.image_width and data.image_height (and data.crop_top with them)"
            )
        return self.view.image(pixels)

    def load(self) -> dict[str, LaneSplit]:
        """Returns the parts ``train``, ``val`` and ``test``; the labels' problems are counted and logged once a part.

        Raises:
            DataError: Files are missing or damaged, or a part has no lane at all.
            ValueError: There are fewer frames than are to be overfitted on.
        """
        frames = self._frames()
        self.refuse_empty(frames)
        if self.options.overfit:
            chosen = spread(frames["train"], self.options.overfit)
            part = self._split("train", chosen)
            return {"train": part, "val": part, "test": part}
        return {part: self._split(part, list(members)) for part, members in frames.items()}

    def refuse_empty(self, frames: dict[str, list[Frame]]) -> None:
        """Refuses labels without a single lane, since neither training nor a score means anything then.

        Args:
            frames: Those of each part; a drawn set may have a part so small that it has no lane.

        Raises:
            DataError: No frame of a part has a lane.
        """
        empty = [part for part, members in frames.items() if not any(len(x) for frame in members for x in frame.lanes)]
        if empty and not self.options.surrogate:
            part = empty[0]
            raise DataError(
                f"{self.options.name}: none of the {len(frames[part])} labels of the {part} part has a lane, so that"
                " there is nothing to learn from or to score against; get the labels"
            )

    def _split(self, part: str, frames: list[Frame]) -> LaneSplit:
        report = LabelReport()
        lanes = [clean(frame.lanes, self.view.image_width, report) for frame in frames]
        if report.problems():
            _log.warning("%s %s: label checks mended %s", self.options.name, part, report.problems())
        return LaneSplit(self._images(frames), lanes, [f.name for f in frames], [f.category for f in frames], report)

    def _images(self, frames: Sequence[Frame]) -> np.ndarray:
        def fill(array: np.ndarray) -> None:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                images = pool.map(self._decode, frames)
                for row, image in enumerate(counted(images, f"decoding {self.options.name}", len(frames))):
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
        folder = cache_folder() / self.options.name / self.check()
        return cached_array(folder / f"{key}-{sizes}.npy", shape, fill)


def spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """Returns ``count`` frames, evenly spaced over those with at least three lanes (or as many as any frame has).

    Neighbouring frames of a clip look alike: a model that ignores the image could overfit on them.

    Raises:
        ValueError: There are fewer such frames.
    """
    most = max((len(frame.lanes) for frame in frames), default=0)
    rich = [frame for frame in frames if len(frame.lanes) >= min(OVERFIT_LANES, most)]
    if count > len(rich):
        raise ValueError(
            f"data.overfit={count}: only {len(rich)} training frames have {min(OVERFIT_LANES, most)} lanes"
        )
    return [rich[(2 * number + 1) * len(rich) // (2 * count)] for number in range(count)]

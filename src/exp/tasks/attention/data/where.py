"""Where: the same texture in every image, and the class is its place; needs no download.

A patch of stripes lies on noise in one of grid x grid cells, shifted a little within it; its look (angle, phase,
contrast) is drawn alike for all classes. Nothing but the position distinguishes the classes, so a gate that is given
coordinates must gain here if they do anything. Convolutions padded with zeros learn positions from the border too,
which is what a plain network has to go by. Figures measured here say nothing about real images.
"""

import hashlib
import json
from typing import Any

import numpy as np

from exp.data.source import Split
from exp.tasks.attention.options import WhereOptions

_FORMAT = 1  # to be raised whenever the same options would be drawn otherwise
_SEEDS = {"train": 11, "val": 12, "test": 13}
_LOOK = ((0.0, np.pi), (0.0, 2 * np.pi), (1.0, 2.0))  # angle and phase in radians, contrast


class Where:
    """Images of one texture at one of grid x grid places.

    Args:
        options: See ``WhereOptions``.
        given: Options by name, in place of ``options``.

    Raises:
        ConfigError: See ``WhereOptions``.
    """

    def __init__(self, options: WhereOptions | None = None, **given: Any) -> None:
        self.options = WhereOptions.of(options, given)
        self.sizes = {"train": self.options.train, "val": self.options.held, "test": self.options.held}

    @property
    def num_classes(self) -> int:
        """The number of cells."""
        return self.options.grid**2

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, size, size)."""
        return 1, self.options.size, self.options.size

    @property
    def class_names(self) -> list[str]:
        """Row and column of the cells, from the upper left."""
        side = range(self.options.grid)
        return [f"row {row} column {column}" for row in side for column in side]

    def check(self) -> str:
        """See ``Source.check``; the images follow from the options, so these are what the fingerprint covers."""
        drawn = {name: getattr(self.options, name) for name in ("size", "grid", "noise")}
        covered = {"format": _FORMAT, **drawn, **self.sizes}
        return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()[:16]

    def load(self) -> dict[str, Split]:
        """See ``Source.load``; drawn anew each time, the same on every machine."""
        return {part: self._part(count, _SEEDS[part]) for part, count in self.sizes.items()}

    def _part(self, count: int, seed: int) -> Split:
        size, grid = self.options.size, self.options.grid
        random = np.random.RandomState(seed)  # numpy keeps its stream for good
        labels = random.permutation(np.arange(count) % self.num_classes).astype(np.int64)
        cell = size / grid
        centres = np.stack([labels // grid, labels % grid], 1) + 0.5 + random.uniform(-0.3, 0.3, (count, 2))
        pixel = np.arange(size) + 0.5
        down = pixel[None, :, None] - centres[:, 0, None, None] * cell
        across = pixel[None, None, :] - centres[:, 1, None, None] * cell
        angle, phase, contrast = (random.uniform(low, high, (count, 1, 1)) for low, high in _LOOK)
        stripes = np.sin((across * np.cos(angle) + down * np.sin(angle)) * (2 * np.pi / 4) + phase)
        patch = contrast * stripes * np.exp(-(down**2 + across**2) / (2 * (cell / 2.5) ** 2))
        images = 128 + 50 * (patch + self.options.noise * 0.4 * random.randn(count, size, size))
        return Split(np.clip(np.rint(images), 0, 255).astype(np.uint8)[:, None], labels)

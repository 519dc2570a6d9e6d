"""Where: the same texture in every image, and the class is the place it stands at; needs no download.

A patch of stripes stands on noise in one of grid x grid cells, shifted a little within it; its look (angle, phase,
contrast) is drawn alike for all classes. Nothing but the position tells the classes apart, so a gate that is given
coordinates must gain here if they do anything. Convolutions padded with zeros learn positions from the border too,
which is what a plain network has to go by. Figures measured here say nothing about real images.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from exp.data.source import Split

_FORMAT = 1  # to be raised whenever the same options would be drawn otherwise
_SEEDS = {"train": 11, "val": 12, "test": 13}


class Where:
    """Images of one texture at one of grid x grid places.

    Args:
        size: side of the images in pixels, at least 4 a cell.
        grid: cells a side; grid * grid classes.
        train: images in the training part.
        held: images in the validation part, and as many in the test part.
        noise: standard deviation of the background, in units of the stripes' amplitude.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self, *, size: int = 24, grid: int = 4, train: int = 1600, held: int = 480, noise: float = 1.0
    ) -> None:
        if grid < 2 or size < 4 * grid:
            raise ValueError(f"grid must be at least 2 and size at least 4 a cell, not {grid} and {size}")
        if min(train, held) < grid * grid:
            raise ValueError(f"train and held must be at least one image a class, not {train} and {held}")
        if noise < 0:
            raise ValueError(f"noise must be at least 0, not {noise}")
        self.size = size
        self.grid = grid
        self.noise = noise
        self.sizes = {"train": train, "val": held, "test": held}

    @property
    def num_classes(self) -> int:
        """Grid * grid."""
        return self.grid**2

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, size, size)."""
        return 1, self.size, self.size

    @property
    def class_names(self) -> list[str]:
        """Row and column of the cells, from the upper left."""
        return [f"row {row} column {column}" for row in range(self.grid) for column in range(self.grid)]

    def check(self) -> str:
        """See `Source.check`; the images follow from the options, so these are what the fingerprint covers."""
        options = {"format": _FORMAT, "size": self.size, "grid": self.grid, "noise": self.noise, **self.sizes}
        return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]

    def load(self) -> dict[str, Split]:
        """See `Source.load`; drawn anew each time, the same on every machine."""
        return {part: self._part(count, _SEEDS[part]) for part, count in self.sizes.items()}

    def _part(self, count: int, seed: int) -> Split:
        random = np.random.RandomState(seed)  # numpy keeps its stream for good
        labels = random.permutation(np.arange(count) % self.num_classes).astype(np.int64)
        cell = self.size / self.grid
        centres = np.stack([labels // self.grid, labels % self.grid], 1) + 0.5 + random.uniform(-0.3, 0.3, (count, 2))
        pixel = np.arange(self.size) + 0.5
        down = pixel[None, :, None] - centres[:, 0, None, None] * cell
        across = pixel[None, None, :] - centres[:, 1, None, None] * cell
        angle, phase, contrast = (random.uniform(low, high, (count, 1, 1)) for low, high in _LOOK)
        stripes = np.sin((across * np.cos(angle) + down * np.sin(angle)) * (2 * np.pi / 4) + phase)
        patch = contrast * stripes * np.exp(-(down**2 + across**2) / (2 * (cell / 2.5) ** 2))
        images = 128 + 50 * (patch + self.noise * 0.4 * random.randn(count, self.size, self.size))
        return Split(np.clip(np.rint(images), 0, 255).astype(np.uint8)[:, None], labels)


_LOOK = ((0.0, np.pi), (0.0, 2 * np.pi), (1.0, 2.0))  # angle and phase in radians, contrast

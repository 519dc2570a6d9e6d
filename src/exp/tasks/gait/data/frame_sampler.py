"""Which frames of a clip are taken, and whether their order is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exp.tasks.gait.options import Order


@dataclass(frozen=True)
class FrameSampler:
    """Chooses frames of a clip.

    Attributes:
        frames: How many; None takes all of a clip.
        order: ordered keeps the frames as they were filmed; unordered draws them in random order.
        skip: Of a window of ``frames + skip``, this many random frames are left out; only with ordered and a number of
            frames.
        limit: Most frames taken where all are; the first ones.

    Raises:
        ValueError: ``skip`` without ordered frames or without a number of them.
    """

    frames: int | None
    order: Order = "ordered"
    skip: int = 0
    limit: int = 720

    def __post_init__(self) -> None:
        if self.skip and (self.frames is None or self.order == "unordered"):
            raise ValueError(f"skip={self.skip}: needs order=ordered and a number of frames")

    @property
    def ordered(self) -> bool:
        """Whether what is taken is in the order in which it was filmed."""
        return self.order == "ordered"

    def take(self, length: int, draws: np.random.RandomState) -> np.ndarray:
        """Returns the places in a clip of the frames that are taken, int64 (k,).

        A clip that is too short is repeated from its start (ordered: with a jump in the walk) or drawn with repeats.

        Args:
            length: Frames of the clip.
            draws: Random numbers.
        """
        if self.frames is None:
            taken = np.arange(min(length, self.limit))
            return taken if self.ordered else draws.permutation(taken)
        if not self.ordered:
            return draws.choice(length, self.frames, replace=length < self.frames)
        window = self.frames + self.skip
        start = draws.randint(max(1, length - window + 1))
        kept = np.sort(draws.choice(window, self.frames, replace=False)) if self.skip else np.arange(window)
        return (start + kept) % length

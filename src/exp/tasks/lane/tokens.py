"""Tokens of a lane's x: absolute bins, or differences from row to row. All lanes are encoded at once; torch-free.

Token 0 means "no point in this row" in every form; bin b is token b + 1. Differences follow the bins.

Source: LaneLM (10.20944/preprints202504.1582) for the bins; notebook 001 for the differences and their flaw.
"""

from __future__ import annotations

import abc

import numpy as np

from exp.tasks.lane.options import LaneOptions

PAD = 0
"""The token of a row without a point."""


class LaneTokens(abc.ABC):
    """Turns a lane's x at successive rows into token ids, and back.

    Args:
        nbins: Bins over the width.
        width: Columns of the network's input.

    Attributes:
        size: Number of different ids.
    """

    extrapolate = False
    """Whether lanes are to be extended to all rows before they are encoded."""

    def __init__(self, nbins: int, width: int) -> None:
        self.nbins = nbins
        self.width = width
        self.size = nbins + 1

    @abc.abstractmethod
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Returns the int64 ids (lanes, rows) of x (lanes, rows) in pixels, NaN where a lane has no point."""

    @abc.abstractmethod
    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Returns x (lanes, rows) in pixels of ids (lanes, rows), NaN where a lane has no point."""

    def bins(self, x: np.ndarray) -> np.ndarray:
        """Returns the bins of x in pixels, -1 outside the image and for NaN."""
        x = np.nan_to_num(x, nan=-1.0)
        bins = np.floor(x * self.nbins / self.width).astype(np.int64)
        return np.where((x >= 0) & (x < self.width), np.minimum(bins, self.nbins - 1), -1)

    def pixels(self, bins: np.ndarray) -> np.ndarray:
        """Returns x of the bins' centres in pixels."""
        return (bins + 0.5) * self.width / self.nbins


class Absolute(LaneTokens):
    """Each row's bin on its own."""

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.encode``."""
        return self.bins(x) + 1

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.decode``; ids that are no bins are no points."""
        return np.where((ids > PAD) & (ids <= self.nbins), self.pixels(ids - 1), np.nan)


class Relative(LaneTokens):
    """The first point's bin, then differences in bins from what the decoder will have (error feedback).

    A difference beyond ``max_dx`` is cut to it and made up for in the next rows, since the encoder follows the
    decoder's position. After a row without a point the next one is a bin again.

    Args:
        nbins: Bins over the width.
        width: Columns of the network's input.
        max_dx: Largest difference in bins.
    """

    def __init__(self, nbins: int, width: int, max_dx: int) -> None:
        super().__init__(nbins, width)
        self.max_dx = max_dx
        self.size = nbins + 1 + 2 * max_dx + 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.encode``."""
        bins = self.bins(x)
        ids = np.zeros_like(bins)
        at = np.full(len(bins), -1, dtype=np.int64)
        for row in range(bins.shape[1]):
            here = bins[:, row]
            step = np.clip(here - at, -self.max_dx, self.max_dx)
            started = at >= 0
            ids[:, row] = np.where(here < 0, PAD, np.where(started, self.nbins + 1 + self.max_dx + step, here + 1))
            at = np.where(here < 0, -1, np.where(started, at + step, here))
        return ids

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.decode``; a difference without a point before it, or out of the image, is no point."""
        x = np.full(ids.shape, np.nan)
        at = np.full(len(ids), -1, dtype=np.int64)
        for row in range(ids.shape[1]):
            token = ids[:, row]
            moved = at + token - (self.nbins + 1 + self.max_dx)
            follows = (token > self.nbins) & (token < self.size) & (at >= 0) & (moved >= 0) & (moved < self.nbins)
            at = np.where((token > PAD) & (token <= self.nbins), token - 1, np.where(follows, moved, -1))
            x[:, row] = np.where(at >= 0, self.pixels(at), np.nan)
        return x

    def too_small(self, x: np.ndarray) -> tuple[float, int]:
        """Returns how many of the steps from row to row in x (lanes, rows) exceed ``max_dx``, and the largest step.

        The first number is a share in 0..1, the second is in bins.
        """
        bins = self.bins(x)
        steps = np.abs(np.diff(bins, axis=1))[(bins[:, 1:] >= 0) & (bins[:, :-1] >= 0)]
        return (float((steps > self.max_dx).mean()), int(steps.max())) if len(steps) else (0.0, 0)


class RelativePublished(LaneTokens):
    """Notebook 001's differences, flaw included: ids are cut to the last bin, so nearly all become that one id.

    Its ids: 0 for no point, 1 .. nbins - 1 for the first point's bin, then nbins + max_dx + difference; each is then
    cut to nbins - 1. Lanes are extended to all rows first.

    Args:
        nbins: Bins over the width.
        width: Columns of the network's input.
        max_dx: Largest difference in bins.
    """

    extrapolate = True

    def __init__(self, nbins: int, width: int, max_dx: int) -> None:
        super().__init__(nbins, width)
        self.max_dx = max_dx
        self.size = nbins + 2 * max_dx + 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.encode``."""
        bins = np.where(
            np.isnan(x), -1, np.clip(np.floor(np.nan_to_num(x) * self.nbins / self.width), 0, self.nbins - 1)
        )
        bins = bins.astype(np.int64)
        step = np.clip(np.diff(bins, axis=1), -self.max_dx, self.max_dx)
        ids = np.concatenate([np.maximum(bins[:, :1], 1), self.nbins + self.max_dx + step], 1)
        return np.where(bins < 0, PAD, np.minimum(ids, self.nbins - 1))

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """See ``LaneTokens.decode``."""
        x = np.full(ids.shape, np.nan)
        at = np.zeros(len(ids), dtype=np.int64)
        for row in range(ids.shape[1]):
            token = ids[:, row]
            at = np.where(token < self.nbins, token, np.clip(at + token - self.nbins - self.max_dx, 0, self.nbins - 1))
            x[:, row] = np.where(token > PAD, self.pixels(at), np.nan)
        return x


def build_tokens(options: LaneOptions, width: int) -> LaneTokens:
    """Returns the tokens that ``options`` choose.

    Args:
        options: See ``LaneOptions``, of which ``tokens``, ``nbins`` and ``max_dx`` are read.
        width: Columns of the network's input.
    """
    if options.tokens == "absolute":
        return Absolute(options.nbins, width)
    relative = Relative if options.tokens == "relative" else RelativePublished
    return relative(options.nbins, width, options.max_dx)

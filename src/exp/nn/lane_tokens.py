"""Tokens of a lane's x: absolute bins, or differences from row to row. Torch-free, all lanes at once.

Token 0 stands for "no point in this row" in all of them; bin b is token b + 1. Differences follow the bins.

Source: LaneLM (10.20944/preprints202504.1582) for the bins; notebook 001 for the differences and their flaw.
"""

from __future__ import annotations

import abc

import numpy as np

from exp.nn.checks import at_least

PAD = 0


class LaneTokens(abc.ABC):
    """A lane's x at successive rows <-> token ids.

    Args:
        nbins: Bins over the width.
        width: Columns of the network's input.

    Attributes:
        size: Number of different ids.

    Raises:
        ValueError: There are fewer than two bins.
    """

    extrapolate = False
    """Whether lanes are to be extended to all rows before they are encoded."""

    def __init__(self, nbins: int, width: int) -> None:
        at_least(type(self).__name__, "nbins", nbins, 2)
        self.nbins = nbins
        self.width = width
        self.size = nbins + 1

    @abc.abstractmethod
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Turns x (lanes, rows) in pixels, NaN where there is none, into int64 ids (lanes, rows)."""

    @abc.abstractmethod
    def decode(self, ids: np.ndarray) -> np.ndarray:
        """Ids (lanes, rows) -> x (lanes, rows) in pixels, NaN where there is no point."""

    def bins(self, x: np.ndarray) -> np.ndarray:
        """Bins of x in pixels, -1 outside the image and for NaN."""
        inside = np.nan_to_num(x, nan=-1.0)
        found = np.floor(inside * self.nbins / self.width).astype(np.int64)
        return np.where((inside >= 0) & (inside < self.width), np.minimum(found, self.nbins - 1), -1)

    def pixels(self, bins: np.ndarray) -> np.ndarray:
        """Bins -> x of their centres in pixels."""
        return (bins + 0.5) * self.width / self.nbins


class Absolute(LaneTokens):
    """Each row's bin on its own."""

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See `LaneTokens.encode`."""
        return self.bins(x) + 1

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """See `LaneTokens.decode`; ids that are no bins are no points."""
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
        at_least("Relative", "max_dx", max_dx, 1)
        self.max_dx = max_dx
        self.size = nbins + 1 + 2 * max_dx + 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See `LaneTokens.encode`."""
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
        """See `LaneTokens.decode`; a difference without a point before it, or out of the image, is no point."""
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
        """Share of the steps between neighbouring points of x (lanes, rows) beyond ``max_dx``, and the largest step."""
        bins = self.bins(x)
        steps = np.abs(np.diff(bins, axis=1))[(bins[:, 1:] >= 0) & (bins[:, :-1] >= 0)]
        return (float((steps > self.max_dx).mean()), int(steps.max())) if len(steps) else (0.0, 0)


class RelativePublished(LaneTokens):
    """Notebook 001's differences, flaw included: ids are cut to the last bin, so nearly all become that one id.

    Its ids: 0 for no point, 1 .. nbins - 1 for the first point's bin, then nbins + max_dx + difference; each is then
    cut to nbins - 1. Lanes are extended to all rows first.
    """

    extrapolate = True

    def __init__(self, nbins: int, width: int, max_dx: int) -> None:
        super().__init__(nbins, width)
        at_least("RelativePublished", "max_dx", max_dx, 1)
        self.max_dx = max_dx
        self.size = nbins + 2 * max_dx + 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        """See `LaneTokens.encode`."""
        bins = np.where(
            np.isnan(x), -1, np.clip(np.floor(np.nan_to_num(x) * self.nbins / self.width), 0, self.nbins - 1)
        )
        bins = bins.astype(np.int64)
        step = np.clip(np.diff(bins, axis=1), -self.max_dx, self.max_dx)
        ids = np.concatenate([np.maximum(bins[:, :1], 1), self.nbins + self.max_dx + step], 1)
        return np.where(bins < 0, PAD, np.minimum(ids, self.nbins - 1))

    def decode(self, ids: np.ndarray) -> np.ndarray:
        """See `LaneTokens.decode`."""
        x = np.full(ids.shape, np.nan)
        at = np.zeros(len(ids), dtype=np.int64)
        for row in range(ids.shape[1]):
            token = ids[:, row]
            at = np.where(token < self.nbins, token, np.clip(at + token - self.nbins - self.max_dx, 0, self.nbins - 1))
            x[:, row] = np.where(token > PAD, self.pixels(at), np.nan)
        return x


def build(kind: str, *, nbins: int, width: int, max_dx: int | None = None) -> LaneTokens:
    """``absolute``, ``relative`` or ``relative_published`` by name; the last two need ``max_dx``."""
    if kind == "absolute":
        return Absolute(nbins, width)
    if max_dx is None:
        raise ValueError(f"tokens={kind} needs max_dx")
    return {"relative": Relative, "relative_published": RelativePublished}[kind](nbins, width, max_dx)

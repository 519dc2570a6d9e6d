"""A feature map in the order in which it lies in memory, and the pieces of it that fit a core's cache.

A sum over an axis of a channels_last tensor is up to ten times slower when it is asked for through the usual view
(B, C, H, W) than through (B, H, W, C), since its small result is laid out the other way. And whatever passes over a
feature map several times is bound by memory, unless it goes piece by piece.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from exp.layers.backend import eager_on_cpu

PIECE = 1 << 17
"""Elements of a piece, at least a sample: 512 kB, of which a few fit the caches."""
FEWEST = 1 << 18
"""Elements from which on all this pays: below, the calls of several small operations take longer than they save."""
Place = tuple[int, int, int, int]
"""The place in memory's order of each axis of (B, C, H, W)."""


def stored(x: Tensor) -> tuple[Tensor, Place] | None:
    """Returns x (B, C, H, W) as a contiguous view, and where its axes went; None where the plain way has to be taken.

    That is the case off the CPU, while a compiler or an export looks on, where x is small, and where it lies in neither
    of the two usual orders.
    """
    if not eager_on_cpu(x) or x.dim() != 4 or not x.is_floating_point() or x.numel() < max(FEWEST, 1):
        return None
    if x.is_contiguous():
        return x, (0, 1, 2, 3)
    channels_last = x.permute(0, 2, 3, 1)
    return (channels_last, (0, 3, 1, 2)) if channels_last.is_contiguous() else None


def as_stored(x: Tensor, place: Place) -> Tensor:
    """Returns (B, C, H, W) in memory's order."""
    return x if place[1] == 1 else x.permute(0, 2, 3, 1)


def as_usual(x: Tensor, place: Place) -> Tensor:
    """Returns what is in memory's order as (B, C, H, W)."""
    return x if place[1] == 1 else x.permute(0, 3, 1, 2)


def pieces(shape: torch.Size) -> Iterator[slice]:
    """Yields slices of the first axis, some samples each."""
    step = max(1, PIECE // shape[1:].numel())
    return (slice(low, low + step) for low in range(0, shape[0], step))


def total(x: Tensor, shape: torch.Size) -> Tensor:
    """Returns x summed over the axes that have length 1 in ``shape``, which are kept."""
    axes = [axis for axis in range(4) if shape[axis] == 1 and x.shape[axis] != 1]
    return x.sum(axes, keepdim=True) if axes else x

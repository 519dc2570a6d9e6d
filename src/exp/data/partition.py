"""Validation parts: stratified, and the same for every cell whatever its seed, so that seeds stay paired."""

import numpy as np

from exp.data.source import DataError

SPLIT_SEED = 0


def holdout_rank(labels: np.ndarray) -> np.ndarray:
    """Returns the place of each sample in a fixed random order of its own class, scaled to (0, 1).

    A sample is held out at a fraction f exactly if its rank is below f. So the parts of a larger f contain those of a
    smaller one, and a file sorted by rank holds the held-out part of any f as its beginning.

    Args:
        labels: int64 (N,).

    Returns:
        float64 (N,).
    """
    # RandomState's stream is frozen for good by numpy; Generator's is not.
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, starts, counts = np.unique(labels[grouped], return_index=True, return_counts=True)
    place = np.arange(len(labels)) - np.repeat(starts, counts)
    rank = np.empty(len(labels), dtype=np.float64)
    rank[grouped] = (place + 0.5) / np.repeat(counts, counts)
    return rank


def hold_out(labels: np.ndarray, fraction: float, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Splits samples class by class.

    Args:
        labels: int64 (N,).
        fraction: Share of each class to hold out, rounded to whole samples.
        name: The data set's name, for messages.

    Returns:
        Sample numbers kept and held out, each int64 ascending. Nothing is held out at fraction 0.

    Raises:
        DataError: A class would be left without a sample on either side.
    """
    held = holdout_rank(labels) < fraction
    if fraction > 0:
        classes, counts = np.unique(labels, return_counts=True)
        taken = np.array([int(held[labels == label].sum()) for label in classes])
        bad = np.flatnonzero((taken == 0) | (taken == counts))
        if len(bad):
            raise DataError(
                f"{name}: holding out {fraction:g} of class {classes[bad[0]]} takes {taken[bad[0]]} of its "
                f"{counts[bad[0]]} samples; choose a fraction that leaves some on both sides, or 0"
            )
    return np.flatnonzero(~held), np.flatnonzero(held)

"""What the sets of facial expressions share: the names of the classes, and a part with votes and copies."""

from dataclasses import dataclass

import numpy as np

from exp.data.source import Split

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's classes in the order of its numbers (folders sorted by name have another one)."""

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""FER+'s classes in the order of its columns, the columns unknown and NF (no face) left out."""

SIDE = 48
"""Side of a face in pixels."""

EXACT, NEAR = 1, 2
"""Bits of ``ExpressionSplit.copies``."""


@dataclass(frozen=True)
class ExpressionSplit(Split):
    """One part of a set of facial expressions.

    Attributes:
        copies: uint8 (N,), bit ``EXACT`` where an earlier part (train before val before test) has the same image, bit
            ``NEAR`` where it has almost the same one; see ``exp.tasks.fer.data.duplicates``.
        votes: float32 (N, classes), the taggers' distribution over the classes, rows summing to 1; None without one.

    Raises:
        ValueError: A shape, type or length is another.
    """

    copies: np.ndarray
    votes: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.copies.shape != self.labels.shape or self.copies.dtype != np.uint8:
            raise ValueError(f"copies must be uint8 {self.labels.shape}, not {self.copies.dtype} {self.copies.shape}")
        if self.votes is not None and (len(self.votes) != len(self) or self.votes.dtype != np.float32):
            raise ValueError(f"votes must be float32 ({len(self)}, classes), not {self.votes.shape}")

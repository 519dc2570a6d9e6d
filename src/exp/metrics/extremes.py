"""The best and the worst cases of a test, kept while it goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A sample of a test.

    Attributes:
        score: How well it went; more is better.
        row: Its place in the test part.
        shown: What a picture of it needs besides.
    """

    score: float
    row: int
    shown: Any = None


class Extremes:
    """Keeps the best and the worst of many cases; of equal ones those that come first in the test part.

    Args:
        count: How many of each are kept.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.best: list[Case] = []
        self.worst: list[Case] = []

    def add(self, cases: Iterable[Case]) -> None:
        """Adds cases."""
        listed = list(cases)
        self.best = sorted([*self.best, *listed], key=lambda case: (-case.score, case.row))[: self.count]
        self.worst = sorted([*self.worst, *listed], key=lambda case: (case.score, case.row))[: self.count]

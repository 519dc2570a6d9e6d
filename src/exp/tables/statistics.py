"""Means, paired differences, Holm's correction, verdicts. Uses scipy's special functions, imported when needed."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05
POWER = 0.8
MIN_SEEDS = 3
MAX_SEEDS = 1000

Interval = tuple[float, float]


@dataclass(frozen=True)
class Paired:
    """A difference paired by seed.

    Attributes:
        n: Pairs.
        mean: Mean difference.
        sd: Standard deviation of the differences, None for one pair.
        interval: 95 % interval of the mean difference, None below two pairs or where the differences are all the same.
        p: Two-sided p of no difference, None below two pairs.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    p: float | None


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and the sample standard deviation where there are two or more."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def interval(values: Sequence[float], confidence: float = 1 - ALPHA) -> Interval | None:
    """Student's t interval of the mean; None below two values."""
    if len(values) < 2:
        return None
    mean, sd = mean_sd(values)
    assert sd is not None
    half = t_quantile(1 - (1 - confidence) / 2, len(values) - 1) * sd / math.sqrt(len(values))
    return mean - half, mean + half


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def t_tail(t: float, freedom: int) -> float:
    """Two-sided tail of Student's t."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))


def paired(differences: Sequence[float]) -> Paired:
    """The paired t test of no difference.

    Where all differences are the same the t test would claim certainty from a coarse metric; the exact sign-flip test
    is made instead, whose p cannot fall below 2 / 2**n.
    """
    n = len(differences)
    mean, sd = mean_sd(differences)
    if sd is None:
        return Paired(n, mean, None, None, None)
    if sd <= 1e-12 * max(1.0, abs(mean)):
        return Paired(n, mean, 0.0, None, 1.0 if mean == 0 else min(1.0, 2.0 ** (1 - n)))
    return Paired(n, mean, sd, interval(differences), t_tail(mean / (sd / math.sqrt(n)), n - 1))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction over the tests that have a p (Holm, Scand. J. Stat. 1979)."""
    order = sorted((i for i, p in enumerate(ps) if p is not None), key=lambda i: ps[i] or 0.0)
    corrected: list[float | None] = [None] * len(ps)
    reached = 0.0
    for rank, i in enumerate(order):
        p = ps[i]
        assert p is not None
        reached = max(reached, min(1.0, (len(order) - rank) * p))
        corrected[i] = reached
    return corrected


def seeds_needed(difference: float, sd: float | None) -> int | None:
    """Seeds with which a paired t test at 5 % finds a difference like this with a probability of 80 %.

    None where it cannot be known: no spread known, no difference, or more than 1,000 seeds.
    """
    if not sd or difference == 0:
        return None
    if _power(MAX_SEEDS, difference / sd) < POWER:
        return None
    low, high = 1, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, difference / sd) >= POWER else (middle, high)
    return high


def _power(n: int, effect: float) -> float:
    from scipy.special import nctdtr, ndtr

    if n < 2:
        return 0.0
    critical, shift = t_quantile(1 - ALPHA / 2, n - 1), abs(effect) * math.sqrt(n)
    below = float(nctdtr(n - 1, shift, critical)) if shift < 30 else float(ndtr(critical - shift))
    return 1 - below


def verdict(test: Paired | None, corrected: float | None, higher: bool) -> str:
    """``better``, ``worse``, ``undecided``, ``within noise``, ``the same`` (in every seed) or ``not enough seeds``.

    Undecided is a row that would differ if it were the only one. Not enough seeds are those of which all have the same
    difference, but too few have been run for that to mean anything.
    """
    if test is None or test.n < MIN_SEEDS or corrected is None:
        return "not enough seeds"
    if corrected >= ALPHA and test.sd == 0:
        return "not enough seeds" if test.mean else "the same"
    if corrected >= ALPHA:
        return "undecided" if test.p is not None and test.p < ALPHA else "within noise"
    return "better" if (test.mean > 0) == higher else "worse"


def exact_verdict(difference: float, higher: bool) -> str:
    """``better``, ``worse`` or ``the same``, of what has no noise."""
    if difference == 0:
        return "the same"
    return "better" if (difference > 0) == higher else "worse"

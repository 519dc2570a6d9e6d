"""Means, paired differences, one-sided tests, Holm's correction. scipy's special functions are imported when needed.

Tests take the seeds along the first axis; further axes are further tests, such as the draws of a simulation.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALPHA = 0.05
POWER = 0.8
MIN_SEEDS = 3
MAX_SEEDS = 1000
EXACT_RANKS = 14
"""Seeds up to which the sign-flip distribution of ranks is enumerated; beyond, the normal one is close."""

Interval = tuple[float, float]
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Paired:
    """A difference paired by seed.

    Attributes:
        n: Pairs.
        mean: Mean difference.
        sd: Standard deviation of the differences, None for one pair.
        interval: 95 % interval of the mean difference, None below two pairs or where the differences are all the same.
        p: Two-sided p of no difference, None below two pairs.
        effect: Mean difference in standard deviations of the differences, corrected for few pairs (Hedges' g of paired
            values); None where there is no spread.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    p: float | None
    effect: float | None = None


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


def tails(values: Array, at: float = 0.0) -> tuple[Array, Array]:
    """One-sided p-values of Student's t test: of a mean that is not above ``at``, and of one that is not below it.

    Where all values are the same the t test would claim certainty from a coarse metric; the exact sign-flip test is
    made instead, whose one-sided p cannot fall below 1 / 2**n.

    Args:
        values: (n, ...) at least two seeds.
        at: What the mean is compared with.
    """
    from scipy.special import stdtr

    n = len(values)
    mean, sd = np.mean(values, axis=0) - at, np.std(values, axis=0, ddof=1)
    flat = sd <= 1e-12 * np.maximum(1.0, np.abs(mean + at))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / (sd / math.sqrt(n))
    exact = np.where(np.abs(mean) <= 1e-12 * max(1.0, abs(at)), 1.0, 0.5**n)
    above = np.where(flat, np.where(mean >= 0, exact, 1.0), stdtr(n - 1, -t))
    below = np.where(flat, np.where(mean <= 0, exact, 1.0), stdtr(n - 1, t))
    return above, below


def rank_tails(differences: Array) -> tuple[Array, Array]:
    """One-sided p-values of Wilcoxon's signed-rank test, by the exact sign-flip distribution of the ranks.

    A difference may be infinite, as that to a value which was never reached; it has the highest rank.

    Args:
        differences: (n, ...) paired by seed; zeros say nothing and take no part.
    """
    n = len(differences)
    flat = differences.reshape(n, -1)
    size = np.abs(flat)
    smaller = (size[:, None] > size[None, :]).sum(1)
    equal = (size[:, None] == size[None, :]).sum(1)
    ranks = np.where(size > 0, smaller + (equal + 1) / 2, 0.0)  # zeros shift the other ranks alike
    seen = np.where(flat > 0, ranks, 0.0).sum(0)
    if n <= EXACT_RANKS:
        flips = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
        sums = flips @ ranks
        above, below = (sums >= seen - 1e-9).mean(0), (sums <= seen + 1e-9).mean(0)
    else:
        from scipy.special import ndtr

        spread = np.maximum(np.sqrt((ranks**2).sum(0)) / 2, 1e-12)
        z = (seen - ranks.sum(0) / 2) / spread
        above, below = ndtr(-z), ndtr(z)
    shape = differences.shape[1:]
    return above.reshape(shape), below.reshape(shape)


def paired(differences: Sequence[float]) -> Paired:
    """The paired t test of no difference, see ``tails``."""
    n = len(differences)
    mean, sd = mean_sd(differences)
    if sd is None:
        return Paired(n, mean, None, None, None)
    above, below = tails(np.asarray(differences, dtype=float))
    p = min(1.0, 2 * float(min(above, below)))
    if sd <= 1e-12 * max(1.0, abs(mean)):
        return Paired(n, mean, 0.0, None, p)
    return Paired(n, mean, sd, interval(differences), p, mean / sd * (1 - 3 / (4 * (n - 1) - 1)))


def holm(ps: Any, weights: Any = None, keeps: Any = None) -> Array:
    """Holm's step-down correction (Holm, Scand. J. Stat. 1979), with weights where some tests count more.

    Args:
        ps: (m, ...) p-values; nan where there is no test.
        weights: Broadcastable to it, of any sum; all alike where not given.
        keeps: Broadcastable to it: tests that keep their weight once rejected, as in Bonferroni's correction; none
            where not given.
    """
    p = np.asarray(ps, dtype=float)
    if not len(p):
        return p
    tested = ~np.isnan(p)
    w = np.where(tested, 1.0 if weights is None else weights, 0.0)
    handed_on = np.where(False if keeps is None else keeps, 0.0, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(tested, p / w, np.inf)
    order = np.argsort(ratio, axis=0, kind="stable")
    gone = np.cumsum(np.take_along_axis(handed_on, order, axis=0), axis=0)
    gone = np.concatenate([np.zeros_like(gone[:1]), gone[:-1]])
    with np.errstate(invalid="ignore"):
        raised = np.minimum(1.0, np.take_along_axis(ratio, order, axis=0) * (w.sum(0) - gone))
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.maximum.accumulate(np.nan_to_num(raised, nan=1.0), axis=0), axis=0)
    return np.where(tested, corrected, np.nan)


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


def exact_verdict(difference: float, higher: bool) -> str:
    """``better``, ``worse`` or ``the same``, of what has no noise."""
    if difference == 0:
        return "the same"
    return "better" if (difference > 0) == higher else "worse"

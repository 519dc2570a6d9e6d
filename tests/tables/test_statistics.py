import itertools

import numpy as np
import pytest
import scipy.stats

from exp.tables.statistics import (
    ALPHA,
    holm,
    interval,
    mean_sd,
    paired,
    rank_tails,
    seeds_needed,
    tails,
)

NUMBERS = [[97.1, 96.8, 97.9, 97.4, 96.2], [0.31, 0.12, 0.77], [-3.0, 4.0], [5.0, 5.5, 4.9, 6.1, 5.2, 5.3, 4.4]]


@pytest.mark.parametrize("values", NUMBERS)
def test_mean_and_interval_are_scipys(values: list[float]) -> None:
    mean, sd = mean_sd(values)
    assert (mean, sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    expected = scipy.stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scipy.stats.sem(values))
    assert interval(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("values", NUMBERS)
def test_paired_test_is_scipys(values: list[float]) -> None:
    base = list(np.linspace(1, 2, len(values)) ** 2)
    test = paired([a - b for a, b in zip(values, base, strict=True)])
    expected = scipy.stats.ttest_rel(values, base)
    assert test.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert test.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-10)
    assert test.n == len(values)


def test_one_value_has_no_spread_interval_or_p() -> None:
    assert mean_sd([3.0]) == (3.0, None)
    assert interval([3.0]) is None
    test = paired([1.0])
    assert (test.sd, test.interval, test.p) == (None, None, None)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_equal_differences_do_not_count_as_certain(n: int) -> None:
    signs = list(itertools.product([-1, 1], repeat=n))
    exact = np.mean([abs(sum(one)) >= n for one in signs])
    test = paired([0.25] * n)
    assert test.p == pytest.approx(exact)
    assert test.interval is None
    assert paired([0.0] * n).p == 1.0


def test_holm_is_that_of_statsmodels() -> None:
    # statsmodels 0.15.0: multipletests(p, method="holm")[1]
    ps = [0.01, 0.04, 0.03, 0.005, 0.2]
    assert holm(ps) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([0.03, np.nan, 0.04]) == pytest.approx([0.06, np.nan, 0.06], nan_ok=True)
    assert holm([0.7, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_holm_by_its_definition() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        ps = generator.uniform(0, 0.2, size=6).tolist()
        rejected = set()
        for rank, i in enumerate(sorted(range(6), key=ps.__getitem__)):
            if ps[i] > ALPHA / (6 - rank):
                break
            rejected.add(i)
        assert set(np.flatnonzero(holm(ps) <= ALPHA)) == rejected


def test_weighted_holm_by_its_definition() -> None:
    """By closed testing: a test is rejected where every set of tests with it is, by weighted Bonferroni."""
    generator = np.random.default_rng(1)
    for _ in range(50):
        ps, weights = generator.uniform(0, 0.1, size=5), generator.uniform(0.1, 1, size=5)
        corrected = holm(ps, weights)
        for i in range(5):
            sets = [s for k in range(1, 6) for s in itertools.combinations(range(5), k) if i in s]
            by_set = [min(ps[j] * sum(weights[list(s)]) / weights[j] for j in s) for s in sets]
            assert corrected[i] == pytest.approx(min(1.0, max(by_set)))


def test_holm_takes_many_draws_at_once() -> None:
    ps = np.random.default_rng(2).uniform(0, 0.2, size=(6, 7))
    weights = np.arange(1.0, 7.0)
    each = np.stack([holm(ps[:, draw], weights) for draw in range(7)], axis=1)
    assert holm(ps, weights[:, None]) == pytest.approx(each)


@pytest.mark.parametrize("at", [0.0, 0.3, -1.0])
def test_one_sided_tests_are_scipys(at: float) -> None:
    values = np.random.default_rng(3).normal(size=(5, 4))
    for side, p in zip(("greater", "less"), tails(values, at), strict=True):
        assert p == pytest.approx(scipy.stats.ttest_1samp(values, at, alternative=side).pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [3, 6, 9, 20])
def test_signed_ranks_are_scipys(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, size=n)
    method = "exact" if n < 15 else "approx"
    for side, p in zip(("greater", "less"), rank_tails(values), strict=True):
        expected = scipy.stats.wilcoxon(values, alternative=side, method=method, correction=False).pvalue
        assert float(p) == pytest.approx(expected, rel=1e-9)


def test_what_was_never_reached_ranks_above_all() -> None:
    above, below = rank_tails(np.array([1.0, 2.0, np.inf, 5.0, np.inf, np.inf]))
    assert (float(above), float(below)) == (1 / 64, 1.0)
    above, _ = rank_tails(np.array([-np.inf, 3.0, 1.0, 2.0]))
    assert float(above) == sum(sum(one) >= 6 for one in itertools.product((0, 4), (0, 3), (0, 1), (0, 2))) / 16
    assert [float(p) for p in rank_tails(np.zeros(4))] == [1.0, 1.0], "alike in both rows"


def test_effects_are_hedges_g_of_pairs() -> None:
    values = [0.4, 1.0, 0.2, 0.9]
    expected = np.mean(values) / np.std(values, ddof=1) * (1 - 3 / (4 * 3 - 1))
    assert paired(values).effect == pytest.approx(expected)
    assert paired([1.0, 1.0, 1.0]).effect is None


@pytest.mark.parametrize(("difference", "sd"), [(1.0, 1.0), (0.3, 0.5), (-2.0, 0.7), (0.1, 0.9)])
def test_seeds_needed_have_the_power_they_claim(difference: float, sd: float) -> None:
    needed = seeds_needed(difference, sd)
    assert needed is not None

    def power(n: int) -> float:
        critical = scipy.stats.t.ppf(0.975, n - 1)
        return float(scipy.stats.nct.sf(critical, n - 1, abs(difference) / sd * np.sqrt(n)))

    assert power(needed) >= 0.8 > power(needed - 1)


def test_seeds_needed_says_when_it_cannot() -> None:
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(1.0, None) is None
    assert seeds_needed(1e-4, 1.0) is None

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
    seeds_needed,
    verdict,
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
    assert holm([0.03, None, 0.04]) == pytest.approx([0.06, None, 0.06])
    assert holm([0.7, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_by_its_definition() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        ps = generator.uniform(0, 0.2, size=6).tolist()
        rejected = set()
        for rank, i in enumerate(sorted(range(6), key=ps.__getitem__)):
            if ps[i] > ALPHA / (6 - rank):
                break
            rejected.add(i)
        corrected = holm(ps)
        assert {i for i in range(6) if corrected[i] is not None and corrected[i] <= ALPHA} == rejected


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


def test_verdicts() -> None:
    clear = paired([2.0, 2.1, 1.9, 2.05])
    assert verdict(clear, clear.p, higher=True) == "better"
    assert verdict(clear, clear.p, higher=False) == "worse"
    assert verdict(clear, 0.2, higher=True) == "undecided"
    vague = paired([2.0, -1.0, 0.5])
    assert verdict(vague, vague.p, higher=True) == "within noise"
    two = paired([2.0, 2.1])
    assert verdict(two, two.p, higher=True) == "not enough seeds"
    assert verdict(None, None, higher=True) == "not enough seeds"


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([100.0] * 3, "not enough seeds"),
        ([0.0] * 3, "the same"),
        ([100.0] * 5, "not enough seeds"),
        ([100.0] * 6, "better"),
    ],
)
def test_the_same_difference_in_every_seed(differences: list[float], said: str) -> None:
    """Five seeds agree by chance in one case out of sixteen."""
    test = paired(differences)
    assert verdict(test, test.p, higher=True) == said


@pytest.mark.parametrize(("rows", "seeds"), [(1, 3), (1, 5), (4, 3), (4, 5)])
def test_false_positives_under_no_effect_are_as_rare_as_claimed(rows: int, seeds: int) -> None:
    """Rows share the reference, as in a table: at most 5 % of tables may show any verdict, with one row just 5 %."""
    tables = 2000
    generator = np.random.default_rng(rows * 10 + seeds)
    wrong = 0
    for _ in range(tables):
        reference = generator.normal(size=seeds)
        tests = [paired((generator.normal(size=seeds) - reference).tolist()) for _ in range(rows)]
        corrected = holm([test.p for test in tests])
        said = {verdict(test, p, higher=True) for test, p in zip(tests, corrected, strict=True)}
        wrong += bool(said & {"better", "worse"})
    spread = 3.3 * np.sqrt(ALPHA * (1 - ALPHA) / tables)
    assert wrong / tables < ALPHA + spread
    assert wrong / tables > (ALPHA - spread if rows == 1 else 0.01)

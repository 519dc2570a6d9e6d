from __future__ import annotations

import numpy as np
import pytest

from exp.data.partition import hold_out, holdout_rank
from exp.data.source import DataError

LABELS = np.random.RandomState(3).randint(0, 5, 203).astype(np.int64)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_every_class_gives_its_share_and_no_sample_is_lost(fraction: float) -> None:
    kept, held = hold_out(LABELS, fraction, "set")
    assert sorted([*kept, *held]) == list(range(len(LABELS)))
    for label in range(5):
        assert abs(np.sum(LABELS[held] == label) - fraction * np.sum(label == LABELS)) <= 0.5


def test_parts_are_fixed_and_nested() -> None:
    _, small = hold_out(LABELS, 0.1, "set")
    _, again = hold_out(LABELS, 0.1, "set")
    _, large = hold_out(LABELS, 0.3, "set")
    assert np.array_equal(small, again)
    assert set(small) < set(large)
    # A change here moves every validation part, and with it every result: never without saying so.
    assert list(hold_out(np.zeros(12, np.int64), 0.25, "set")[1]) == [4, 6, 11]


def test_held_out_samples_come_first_in_the_order_of_rank() -> None:
    rank = holdout_rank(LABELS)
    order = np.argsort(rank, kind="stable")
    for fraction in (0.05, 0.1, 0.33):
        held = hold_out(LABELS, fraction, "set")[1]
        assert set(order[: len(held)]) == set(held)


def test_nothing_is_held_out_at_zero() -> None:
    kept, held = hold_out(LABELS, 0.0, "set")
    assert len(kept) == len(LABELS)
    assert len(held) == 0


@pytest.mark.parametrize(("labels", "fraction"), [([0] * 9 + [1], 0.1), ([0, 0, 0], 0.99)])
def test_a_class_without_samples_on_one_side_is_an_error(labels: list[int], fraction: float) -> None:
    with pytest.raises(DataError, match="set: holding out .* of class"):
        hold_out(np.array(labels), fraction, "set")

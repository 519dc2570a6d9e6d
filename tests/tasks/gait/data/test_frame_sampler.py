"""Frame samplers: order as a promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exp.tasks.gait.data.frame_sampler import FrameSampler


def draws(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 6), st.integers(0, 9999))
def test_ordered_frames_run_forwards_within_a_window(length: int, frames: int, skip: int, seed: int) -> None:
    sampler = FrameSampler(frames, "ordered", skip)
    taken = sampler.take(length, draws(seed))
    assert sampler.ordered
    assert len(taken) == frames
    assert 0 <= taken.min() <= taken.max() < length
    if length >= frames + skip:
        assert (np.diff(taken) > 0).all()
        assert taken[-1] - taken[0] < frames + skip
    else:
        # A clip that is too short starts again, and runs forwards between the jumps.
        assert (np.diff(taken) % length <= skip + 1).all()


def test_ordered_without_skip_is_contiguous_and_its_start_random() -> None:
    starts = {int(FrameSampler(10).take(30, draws(seed))[0]) for seed in range(200)}
    assert starts == set(range(21))
    assert (np.diff(FrameSampler(10).take(30, draws())) == 1).all()


def test_unordered_frames_are_shuffled_without_repeats_where_there_are_enough() -> None:
    sampler = FrameSampler(30, "unordered")
    taken = sampler.take(30, draws())
    assert not sampler.ordered
    assert sorted(taken.tolist()) == list(range(30))
    assert (np.diff(taken) < 0).any()
    assert len(sampler.take(12, draws())) == 30


def test_all_frames_are_all_in_their_order_up_to_the_limit() -> None:
    assert FrameSampler(None).take(7, draws()).tolist() == list(range(7))
    assert FrameSampler(None, limit=4).take(7, draws()).tolist() == [0, 1, 2, 3]
    mixed = FrameSampler(None, "unordered").take(20, draws())
    assert sorted(mixed.tolist()) == list(range(20))
    assert mixed.tolist() != list(range(20))


@pytest.mark.parametrize(
    "options",
    [
        {"skip": 2, "order": "unordered"},
        {"frames": None, "skip": 2},
    ],
)
def test_skipping_needs_a_window_of_ordered_frames(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="^skip=2: needs order=ordered and a number of frames$"):
        FrameSampler(**({"frames": 5} | options))  # type: ignore[arg-type]

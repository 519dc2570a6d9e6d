"""Epoch plans: balanced cuts, every place once, weights that add up, positions."""

import itertools

import pytest
import torch

from exp.data.epoch import EpochPlan, Share, cut, generator

SIZES = [(29, 8, 1), (29, 8, 2), (31, 31, 2), (50, 7, 1), (12, 100, 2), (97, 10, 3)]


def balanced(samples: int, batch_size: int, **options: int | bool) -> EpochPlan:
    return EpochPlan.balanced(samples, batch_size, **({"shuffle": True, "seed": 0} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("total", [0, 1, 7, 30, 1001])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64])
def test_cuts_follow_one_another_and_differ_by_one_at_most(total: int, parts: int) -> None:
    cuts = [cut(total, parts, part) for part in range(parts)]
    assert [first for first, _ in cuts] == [0, *(last for _, last in cuts[:-1])]
    assert cuts[-1][1] == total
    lengths = [last - first for first, last in cuts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(("samples", "batch_size", "accumulate"), SIZES)
@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_cover_every_place_once_and_their_weights_give_the_mean_of_a_step(
    samples: int, batch_size: int, accumulate: int, world: int
) -> None:
    plans = [balanced(samples, batch_size, accumulate=accumulate, rank=rank, world_size=world) for rank in range(world)]
    loss = torch.randn(samples, generator=generator("loss"), dtype=torch.float64)
    places: list[int] = []
    of_step = [0.0] * -(-samples // batch_size)
    for index in range(len(plans[0])):
        shares = [plan.share(index) for plan in plans]
        assert {(share.index, share.step, share.low, share.high, share.size) for share in shares} == {
            (index, index // accumulate, shares[0].first, shares[-1].last, sum(map(len, shares)))
        }
        assert plans[0].counts(index) == tuple(map(len, shares))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        for share in shares:
            assert list(range(share.low, share.high))[share.own] == list(range(share.first, share.last))
            places += range(share.first, share.last)
            of_step[share.step] += share.weight * float(loss[share.first : share.last].mean()) / world / accumulate
    assert places == list(range(samples)) == sorted(plans[0].order(4).tolist())
    for step, found in enumerate(of_step):
        first, last = cut(samples, len(of_step), step)
        assert last - first <= batch_size
        assert found == pytest.approx(float(loss[first:last].mean()), abs=1e-12)


def test_a_joint_loss_is_weighted_by_the_whole_micro_batch() -> None:
    plans = [EpochPlan([12, 12], rank=rank, world_size=4, accumulate=2, together=4, joint=True) for rank in range(4)]
    for index in range(4):
        shares = [plan.share(index) for plan in plans]
        assert {share.weight for share in shares} == {shares[0].size * 2 / 12}
    assert [plans[0].share(index).size for index in range(4)] == [4, 8, 4, 8]
    assert sum(plans[0].share(index).weight for index in (0, 1)) == 2


def test_steps_may_have_sizes_of_their_own() -> None:
    plan = EpochPlan([3, 5, 4], rank=1, world_size=2)
    assert [plan.share(index) for index in range(len(plan))] == [
        Share(0, 0, 0, 0, 3, 1, 3, 4 / 3),
        Share(1, 1, 3, 3, 8, 5, 8, 6 / 5),
        Share(2, 2, 8, 8, 12, 10, 12, 1.0),
    ]
    assert plan.counts(1) == (2, 3)
    assert plan.samples == 12


def test_the_order_follows_from_seed_and_epoch() -> None:
    orders = [tuple(balanced(60, 8, seed=seed).order(epoch).tolist()) for seed in (-1, 0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 6
    assert balanced(60, 8).order(1).tolist() == list(orders[3])
    assert balanced(60, 8, rank=1, world_size=2).order(1).tolist() == list(orders[3])
    assert balanced(60, 8, shuffle=False).order(7).tolist() == list(range(60))


def test_the_position_says_what_is_left() -> None:
    plan = balanced(40, 8)
    assert plan.left() == (0, range(5))
    plan.set_position(3, 2)
    assert plan.left() == plan.left() == (3, range(2, 5))
    plan.set_position(4)
    assert plan.left() == (4, range(5))
    plan.set_position(4, 5)
    assert list(plan.left()[1]) == []
    for position in ((-1, 0), (0, -1), (0, 6)):
        with pytest.raises(ValueError, match="is not in epochs of 5 micro-batches"):
            plan.set_position(*position)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([], {}, "an epoch has no samples"),
        ([8], {"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ([8], {"world_size": 0}, "world_size must be at least 1, not 0"),
        ([8], {"together": 0}, "together must be at least 1, not 0"),
        ([8], {"rank": 2, "world_size": 2}, "rank 2 is not one of 2"),
        ([8, 3], {"world_size": 4}, "steps of 3 samples, 1 micro-batches each, leave 3 for 4 devices"),
        ([8], {"together": 4, "accumulate": 3}, "leave 0 for 1 devices"),
    ],
)
def test_numbers_out_of_range_are_named(sizes: list[int], options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpochPlan(sizes, **options)  # type: ignore[arg-type]


def test_random_numbers_follow_from_the_key_alone() -> None:
    keys = list(itertools.product(("a", "b"), (0, 1, 10), (0, 1, 10)))
    assert len({generator(*key).initial_seed() for key in keys}) == len(keys)
    assert generator("order", 0, 0).initial_seed() == 6842717984295184508  # the same in every process and version

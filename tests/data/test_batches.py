"""Batches of an image set: every sample once, weights that add up, the same on one device or many."""

import functools
import itertools
import operator
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exp.data.augment import Augment
from exp.data.batches import Batches, ImageBatch
from exp.data.epoch import generator
from exp.data.source import Split

SIZES = [(29, 8, 1), (29, 8, 2), (31, 31, 2), (32, 8, 2), (50, 7, 1), (12, 100, 2), (97, 10, 1)]
WORLDS = [1, 2, 3]
AUGMENT: dict[str, Any] = {"crop": 1, "flip": 0.5, "rotate": 20.0, "erase": 0.5}


def split(count: int) -> Split:
    """Images with their sample number in their first two pixels; labels are that number modulo 7."""
    images = np.random.RandomState(count).randint(0, 256, (count, 1, 4, 5)).astype(np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return Split(images, np.arange(count, dtype=np.int64) % 7)


def batches(count: int, **options: Any) -> Batches:
    given: dict[str, Any] = {"batch_size": 8, "shuffle": True, "seed": 0, "device": "cpu"}
    return Batches(split(count), **(given | options))


def numbers(batch: ImageBatch) -> list[int]:
    return (batch.images[:, 0, 0, 0].int() * 256 + batch.images[:, 0, 0, 1].int()).tolist()


def equal(one: ImageBatch, other: ImageBatch) -> bool:
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and torch.equal(one.rows, other.rows)
        and (one.weight, one.size, one.index) == (other.weight, other.size, other.index)
    )


@pytest.mark.parametrize(("count", "batch_size", "accumulate"), SIZES)
@pytest.mark.parametrize("world", WORLDS)
def test_every_sample_once_an_epoch_balanced_and_as_on_one_device(
    count: int, batch_size: int, accumulate: int, world: int
) -> None:
    one = batches(count, batch_size=batch_size, accumulate=accumulate, seed=5)
    ranks = [
        batches(count, batch_size=batch_size, accumulate=accumulate, seed=5, rank=rank, world_size=world)
        for rank in range(world)
    ]
    steps = -(-count // batch_size)
    assert {len(loader) for loader in (one, *ranks)} == {steps * accumulate}
    seen: list[int] = []
    sizes: list[int] = []
    for whole, *shares in zip(one, *ranks, strict=True):
        together = [number for share in shares for number in numbers(share)]
        assert together == numbers(whole)
        assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)
        assert {share.size for share in shares} == {whole.size} == {len(together)}
        lengths = [len(share.labels) for share in shares]
        assert min(lengths) >= 1
        assert max(lengths) - min(lengths) <= 1
        assert whole.labels.tolist() == [number % 7 for number in together]
        assert torch.cat([share.rows for share in shares]).tolist() == whole.rows.tolist() == together
        sizes.append(whole.size)
        seen += together
    assert sorted(seen) == list(range(count))
    steps_sizes = [sum(sizes[step * accumulate : (step + 1) * accumulate]) for step in range(steps)]
    assert max(steps_sizes) - min(steps_sizes) <= 1
    assert max(steps_sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1 + (accumulate > 1)


@pytest.mark.parametrize(("count", "batch_size", "accumulate"), SIZES)
@pytest.mark.parametrize("world", WORLDS)
def test_weighted_means_give_the_mean_over_the_global_batch(
    count: int, batch_size: int, accumulate: int, world: int
) -> None:
    loss = np.random.RandomState(1).randn(count)
    order = [numbers(batch) for batch in batches(count, batch_size=batch_size, accumulate=accumulate)]
    given = [0.0] * len(order)
    for rank in range(world):
        loader = batches(count, batch_size=batch_size, accumulate=accumulate, rank=rank, world_size=world)
        for batch in loader:
            # What a trainer does with the loss: mean over ranks, division by the micro-batches of a step.
            given[batch.index] += batch.weight * loss[numbers(batch)].mean() / world / accumulate
    for step in range(len(order) // accumulate):
        micros = slice(step * accumulate, (step + 1) * accumulate)
        assert sum(given[micros]) == pytest.approx(
            loss[functools.reduce(operator.iadd, order[micros], [])].mean(), abs=1e-12
        )


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("resident", [True, False])
def test_augmentation_of_shares_is_that_of_the_whole(world: int, resident: bool) -> None:
    options: dict[str, Any] = {"batch_size": 10, "accumulate": 2, "augment": Augment(**AUGMENT)}
    one = batches(43, **options)
    ranks = [batches(43, rank=rank, world_size=world, resident=resident, **options) for rank in range(world)]
    for whole, *shares in zip(one, *ranks, strict=True):
        assert whole.images.dtype == torch.float32
        assert torch.equal(torch.cat([share.images for share in shares]), whole.images)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_can_be_entered_anywhere(resident: bool, shuffle: bool) -> None:
    options: dict[str, Any] = {"accumulate": 2, "shuffle": shuffle, "augment": Augment(**AUGMENT), "resident": resident}
    loader = batches(45, **options)
    loader.set_position(3)
    whole = list(loader)
    for start in range(len(loader) + 1):
        other = batches(45, **options)
        list(itertools.islice(other, 2))  # whatever came before
        other.set_position(3, start)
        tail = list(other)
        assert len(tail) == len(loader) - start
        assert len(other) == len(loader)
        assert all(equal(a, b) for a, b in zip(tail, whole[start:], strict=True))


def test_position_is_taken_by_iter_and_stays() -> None:
    loader = batches(40)
    loader.set_position(1, 3)
    iterator = iter(loader)
    loader.set_position(0, 0)
    assert next(iterator).index == 3
    loader.set_position(1, 2)
    first, second = list(loader), list(loader)
    assert [batch.index for batch in first] == [2, 3, 4]
    assert [batch.index for batch in second] == [2, 3, 4]
    assert all(equal(a, b) for a, b in zip(first, second, strict=True))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    def epoch(seed: int, number: int, shuffle: bool = True) -> list[int]:
        loader = batches(60, seed=seed, shuffle=shuffle)
        loader.set_position(number)
        return [n for batch in loader for n in numbers(batch)]

    orders = [epoch(seed, number) for seed in (-1, 0, 1) for number in (0, 1)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))
    assert epoch(0, 1) == epoch(0, 1)
    assert epoch(0, 0, False) == epoch(1, 5, False) == list(range(60))


def test_draws_differ_between_batches_epochs_and_seeds() -> None:
    same = Split(np.tile(split(1).images, (24, 1, 1, 1)), np.zeros(24, np.int64))
    found = []
    for seed, epoch in itertools.product((0, 1), (0, 1)):
        loader = Batches(
            same, batch_size=8, shuffle=False, seed=seed, device="cpu", augment=Augment(crop=2, rotate=90.0)
        )
        loader.set_position(epoch)
        found += [batch.images for batch in loader]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(found, 2))


def test_randomness_outside_is_neither_used_nor_moved() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = list(batches(30, augment=Augment(**AUGMENT)))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert all(equal(a, b) for a, b in zip(first, batches(30, augment=Augment(**AUGMENT)), strict=True))


def test_streams_are_the_same_in_every_process() -> None:
    # A change here gives every interrupted cell other batches than it began with.
    assert generator("order", 0, 0).initial_seed() == 6842717984295184508
    assert len({generator(*key).initial_seed() for key in itertools.product(("a", "b"), (0, 1, 10), (0, 1, 10))}) == 18


def test_memory_is_shared_where_it_can_be(tmp_path: Path) -> None:
    ordinary = split(9)
    loader = Batches(ordinary, batch_size=9, shuffle=False, seed=0, device="cpu")
    ordinary.images[4] = 77
    batch = next(iter(loader))
    assert loader.resident
    assert batch.images[4].eq(77).all()
    batch.images.zero_()  # a batch is a copy
    assert ordinary.images[4].max() == 77

    np.save(tmp_path / "a.npy", ordinary.images)
    mapped = Split(np.load(tmp_path / "a.npy", mmap_mode="r"), ordinary.labels)
    frozen = Split(ordinary.images.copy(), ordinary.labels.copy())
    frozen.images.flags.writeable = frozen.labels.flags.writeable = False
    turned = Split(ordinary.images[:, :, ::-1], ordinary.labels)
    for other, resident, expected in (
        (mapped, None, False),
        (mapped, True, True),
        (frozen, None, True),
        (turned, None, True),
        (turned, False, False),
    ):
        loader = Batches(other, batch_size=4, shuffle=True, seed=3, device="cpu", resident=resident)
        assert loader.resident is expected
        for batch in loader:
            assert batch.images.is_contiguous()
        again = Batches(Split(np.array(other.images), other.labels), batch_size=4, shuffle=True, seed=3, device="cpu")
        assert all(equal(a, b) for a, b in zip(loader, again, strict=True))


def test_reading_thread_ends_with_the_epoch_and_with_a_dropped_iterator() -> None:
    def readers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("exp-read")]

    loader = batches(40, resident=False)
    assert len(list(loader)) == 5
    assert not readers()
    iterator = iter(loader)
    next(iterator)
    assert len(readers()) == 1
    del iterator
    assert not readers()


class Gone(np.ndarray):
    """Pixels on a disk that is no longer there."""

    def __getitem__(self, key: Any) -> Any:
        raise OSError("disk gone")


def test_an_error_while_reading_reaches_the_caller() -> None:
    gone = Split(split(40).images.view(Gone), split(40).labels)
    with pytest.raises(OSError, match="disk gone"):
        next(iter(Batches(gone, batch_size=8, shuffle=True, seed=0, device="cpu", resident=False)))


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (10, {"batch_size": 0}, "batch_size must be at least 1"),
        (10, {"accumulate": 0}, "accumulate must be at least 1"),
        (10, {"world_size": 0}, "world_size must be at least 1"),
        (10, {"rank": 1}, "rank 1 is not one of 1"),
        (10, {"rank": -1}, "rank -1 is not one of 1"),
        (0, {}, "no samples"),
        (9, {"batch_size": 4, "world_size": 4}, "leave 3 for 4 devices"),
        (9, {"batch_size": 4, "world_size": 2, "accumulate": 2}, "leave 1 for 2 devices"),
    ],
)
def test_bad_options(count: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batches(count, **options)


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (0, 6)])
def test_bad_position(position: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is not in epochs of 5"):
        batches(40).set_position(*position)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("resident", [True, False])
def test_gpu_gives_the_batches_of_the_cpu(resident: bool) -> None:
    options: dict[str, Any] = {"batch_size": 10, "accumulate": 2, "augment": Augment(crop=1, flip=0.5, erase=0.5)}
    for one, other in zip(
        batches(43, **options), batches(43, device="cuda", resident=resident, **options), strict=True
    ):
        assert other.images.is_cuda
        assert other.labels.is_cuda
        assert other.rows.is_cuda
        assert torch.equal(one.labels, other.labels.cpu())
        assert torch.equal(one.rows, other.rows.cpu())
        assert torch.allclose(one.images, other.images.cpu(), atol=1e-6)

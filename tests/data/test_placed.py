"""A DataLoader entered at any batch yields what an uninterrupted run would have had."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from exp.data.placed import Place, PlacedLoader, can_be_placed


class Noisy(Dataset):
    """Draws from all three generators."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, place: int) -> Tensor:
        return torch.tensor([place, torch.rand(()).item(), np.random.rand(), random.random()])  # noqa: NPY002


def batches(loader: PlacedLoader, epoch: int, start: int = 0) -> list[Tensor]:
    loader.place.set_position(epoch, start)
    return list(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_entered_anywhere(workers: int) -> None:
    loader = PlacedLoader(DataLoader(Noisy(), batch_size=3, shuffle=True, num_workers=workers), Place(), seed=3)
    whole = batches(loader, 2)
    torch.manual_seed(99)
    rest = batches(loader, 2, 2)
    assert len(loader) == len(whole) == 4
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
    assert sorted(torch.cat(whole)[:, 0].tolist()) == list(range(10))
    other = batches(loader, 3)
    assert not torch.equal(torch.cat(other)[:, 0], torch.cat(whole)[:, 0])
    assert not torch.equal(torch.cat(other)[:, 1], torch.cat(whole)[:, 1])


def test_ranks_share_the_batches() -> None:
    inner = DataLoader(TensorDataset(torch.arange(10)), batch_size=2, shuffle=True)
    ranks = [PlacedLoader(inner, Place(), seed=0, rank=rank, world_size=2) for rank in range(2)]
    shares = [torch.cat([batch[0] for batch in loader]) for loader in ranks]
    assert [len(loader) for loader in ranks] == [3, 3]
    assert set(torch.cat(shares).tolist()) == set(range(10))


def test_samplers_and_generators_of_the_user() -> None:
    weights = WeightedRandomSampler([1.0] * 10, 6, generator=torch.Generator())
    loader = PlacedLoader(DataLoader(TensorDataset(torch.arange(10)), batch_size=2, sampler=weights), Place(), seed=0)
    first, again, other = (torch.cat([batch[0] for batch in batches(loader, epoch)]) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_cannot_be_placed() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> object:
            return iter(range(3))

    assert not can_be_placed(DataLoader(Stream()))
    assert not can_be_placed([1, 2])
    assert not can_be_placed(DataLoader(TensorDataset(torch.arange(3)), batch_size=None))
    assert can_be_placed(DataLoader(TensorDataset(torch.arange(3))))

"""A torch DataLoader made resumable: entered at any batch, it yields what an uninterrupted run would have had.

The order of an epoch, and all that a data set draws for a batch, follow from (seed, epoch, place of the batch), in
whichever process the batch is read.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from exp.data.epoch import generator


class Place:
    """Where the next iteration begins."""

    def __init__(self) -> None:
        self.epoch = 0
        self.start = 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next iteration begin at batch ``start`` of ``epoch``."""
        self.epoch, self.start = epoch, start


class Keyed(list):
    """Numbers of a batch's samples, with the key from which its randomness follows."""

    key: tuple[int, ...] = ()


class Seeded(Dataset):
    """A data set whose random changes of a batch follow from the batch's key.

    Args:
        inner: A map-style data set.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitems__(self, numbers: Keyed) -> list[Any]:
        """Returns the samples of a batch; torch's loaders ask for them by this name."""
        seed_all(*numbers.key)
        if callable(getattr(self.inner, "__getitems__", None)):
            return list(self.inner.__getitems__(list(numbers)))
        return [self.inner[number] for number in numbers]


def seed_all(*key: int) -> None:
    """Seeds torch, NumPy and Python from a key."""
    seed = generator("place", *key).initial_seed()
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # data sets of users draw from it
    random.seed(seed)


class PlacedLoader:
    """Yields the batches of a DataLoader from a place on.

    Args:
        loader: A DataLoader of a map-style data set.
        place: Where iterations begin; shared with whoever sets it.
        seed: Any integer.
        rank: Number of this process.
        world_size: Processes of which each takes every ``world_size``-th batch; 1 takes all. The last batches are
            filled up from the first, so that each has as many.
    """

    def __init__(self, loader: DataLoader, place: Place, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.loader, self.place, self.seed = loader, place, seed
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return -(-len(self.loader) // self.world_size)

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches(self.place.epoch)[self.place.start :]
        old = self.loader
        workers: dict[str, Any] = {}
        if old.num_workers:
            workers = {
                "prefetch_factor": old.prefetch_factor,
                "multiprocessing_context": old.multiprocessing_context,
                "worker_init_fn": old.worker_init_fn,
                "timeout": old.timeout,
            }
        yield from DataLoader(
            Seeded(old.dataset),
            batch_sampler=batches,
            collate_fn=old.collate_fn,
            num_workers=old.num_workers,
            pin_memory=old.pin_memory,
            **workers,
        )

    def _batches(self, epoch: int) -> Sequence[Keyed]:
        """Returns this rank's batches of an epoch: the sampler's own, drawn under a seed of the epoch."""
        seed_all(self.seed, epoch)
        sampler = self.loader.batch_sampler
        for drawn in (getattr(sampler, "sampler", None), sampler):
            own = getattr(drawn, "generator", None)
            if isinstance(own, torch.Generator):
                own.manual_seed(generator("order", self.seed, epoch).initial_seed())
        batches = [Keyed(numbers) for numbers in sampler or ()]
        for place, batch in enumerate(batches):
            batch.key = (self.seed, epoch, place)
        shares = batches + batches[: -len(batches) % self.world_size]
        return shares[self.rank :: self.world_size]


def can_be_placed(loader: Any) -> bool:
    """Returns whether a loader can be entered at any batch: a DataLoader that batches a map-style data set."""
    return (
        isinstance(loader, DataLoader)
        and not isinstance(loader.dataset, IterableDataset)
        and loader.batch_sampler is not None
    )

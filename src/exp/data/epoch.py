"""How an epoch is cut: its order, its micro-batches, each rank's share of them, and the position it is entered at.

All randomness of a batch follows from (seed, epoch, index), the last being the micro-batch's place in the epoch. So an
epoch can be entered anywhere, and many ranks see what a single one would.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate as running_sums
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import Self


class Batch(Protocol):
    """What training needs to know of a batch, whatever it holds."""

    weight: float
    """Factor of the batch's mean loss, see ``EpochPlan``."""


@dataclass(frozen=True)
class Share:
    """One rank's share of one micro-batch, as places in the epoch's order.

    Attributes:
        index: Place of the micro-batch in the epoch.
        step: Number of the optimizer step in the epoch.
        start: First place of the optimizer step.
        low: First place of the micro-batch.
        high: One past the last place of the micro-batch.
        first: First place of the share.
        last: One past the last place of the share.
        weight: Factor of the share's mean loss, see ``EpochPlan``.
    """

    index: int
    step: int
    start: int
    low: int
    high: int
    first: int
    last: int
    weight: float

    def __len__(self) -> int:
        """Samples of the share."""
        return self.last - self.first

    @property
    def size(self) -> int:
        """Samples of the micro-batch over all ranks."""
        return self.high - self.low

    @property
    def own(self) -> slice:
        """Where the share is among the samples of the micro-batch."""
        return slice(self.first - self.low, self.last - self.low)


class EpochPlan:
    """Cuts epochs into optimizer steps, those into micro-batches, and those into contiguous shares of the ranks.

    Cuts are balanced: parts differ by one sample at most (by ``together`` samples, between micro-batches). Nothing is
    left out and nothing comes twice.

    A trainer divides each loss by ``accumulate`` and averages gradients over the ranks. A share of n samples, in an
    optimizer step of N, has the weight ``n * world_size * accumulate / N``. So the sum over ranks and micro-batches of
    ``weight * mean loss / (world_size * accumulate)`` is exactly the mean over the optimizer step, also where shares
    differ in size. Where ``joint`` says that each rank computes the loss of the whole micro-batch, n of its samples in
    all, the weight is ``n * accumulate / N``.

    Args:
        sizes: Samples of each optimizer step of an epoch.
        shuffle: Whether each epoch has its own random order.
        seed: Any integer.
        rank: Number of this process.
        world_size: Processes that share each micro-batch.
        accumulate: Micro-batches of an optimizer step.
        together: Samples that one micro-batch has to have together; each size is a multiple of it.
        joint: Whether the loss of a micro-batch is computed over all ranks' samples.

    Raises:
        ValueError: A number is out of range, or a share would be empty.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
        together: int = 1,
        joint: bool = False,
    ) -> None:
        for name, value in (("world_size", world_size), ("accumulate", accumulate), ("together", together)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not one of {world_size}")
        if not len(sizes):
            raise ValueError("an epoch has no samples")
        smallest = min(sizes) // together // accumulate * together
        if smallest < world_size:
            raise ValueError(
                f"optimizer steps of {min(sizes)} samples, {accumulate} micro-batches each, leave {smallest} for"
                f" {world_size} devices; use a larger batch size, fewer devices or less accumulate"
            )
        self.rank = rank
        self.world_size = world_size
        self.accumulate = accumulate
        self._starts = [0, *running_sums(int(size) for size in sizes)]
        self._shuffle = shuffle
        self._seed = seed
        self._together = together
        self._joint = joint
        self._epoch = 0
        self._start = 0

    @classmethod
    def balanced(
        cls,
        samples: int,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> Self:
        """Returns the plan of epochs that go once through a number of samples, in as few equal steps as can be.

        Args:
            samples: Samples of an epoch.
            batch_size: Most samples of an optimizer step, over all ranks and micro-batches.
            shuffle: See the class, as for the others.
            seed: Any integer.
            rank: Number of this process.
            world_size: Processes that share each micro-batch.
            accumulate: Micro-batches of an optimizer step.

        Raises:
            ValueError: A number is out of range, or a share would be empty.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        steps = -(-samples // batch_size)
        sizes = [last - first for first, last in (cut(samples, steps, step) for step in range(steps))]
        return cls(sizes, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size, accumulate=accumulate)

    def __len__(self) -> int:
        """Micro-batches of a whole epoch, wherever the position is."""
        return (len(self._starts) - 1) * self.accumulate

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return self._starts[-1]

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Sets the micro-batch ``start`` of ``epoch`` as the position, until this is called again.

        Raises:
            ValueError: There is no such place (``start`` may be the length: nothing is left then).
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise ValueError(f"epoch {epoch}, micro-batch {start} is not in epochs of {len(self)} micro-batches")
        self._epoch = epoch
        self._start = start

    def left(self) -> tuple[int, range]:
        """Returns the epoch of the position, and its micro-batches from there on."""
        return self._epoch, range(self._start, len(self))

    def order(self, epoch: int) -> Tensor:
        """Returns the number of the sample at each place of an epoch, int64 (samples,)."""
        if not self._shuffle:
            return torch.arange(self.samples)
        return torch.randperm(self.samples, generator=generator("order", self._seed, epoch))

    def share(self, index: int) -> Share:
        """Returns this rank's share of a micro-batch."""
        step, part = divmod(index, self.accumulate)
        start, end = self._starts[step], self._starts[step + 1]
        groups = cut((end - start) // self._together, self.accumulate, part)
        low, high = (start + place * self._together for place in groups)
        first, last = (low + place for place in cut(high - low, self.world_size, self.rank))
        counted = high - low if self._joint else (last - first) * self.world_size
        return Share(index, step, start, low, high, first, last, counted * self.accumulate / (end - start))

    def counts(self, index: int) -> tuple[int, ...]:
        """Returns how many samples of a micro-batch each rank has."""
        size = self.share(index).size
        return tuple(last - first for first, last in (cut(size, self.world_size, n) for n in range(self.world_size)))


class EpochLoader:
    """Base of what iterates over the batches of an epoch that a plan cuts."""

    plan: EpochPlan

    def __len__(self) -> int:
        """Micro-batches of a whole epoch, wherever the position is."""
        return len(self.plan)

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes every ``iter()`` from now on begin at micro-batch ``start`` of ``epoch``, until this is called again.

        Raises:
            ValueError: There is no such place (``start`` may be the length: nothing is left then).
        """
        self.plan.set_position(epoch, start)


def cut(total: int, parts: int, part: int) -> tuple[int, int]:
    """Returns the first place, and one past the last, of one of ``parts`` balanced parts of 0 to ``total``."""
    return total * part // parts, total * (part + 1) // parts


def generator(*key: str | int) -> torch.Generator:
    """Returns a CPU generator whose numbers follow from the key alone, in any process (unlike Python's ``hash``)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

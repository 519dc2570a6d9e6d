"""Batches of an image set on a device: exact, resumable, the same on one device or many.

There is no sampler. The pixels lie as uint8 where they are used and a batch is one gather; where they do not fit, they
are read or decoded a few batches ahead. All randomness of a batch follows from (seed, epoch, index) alone, and none of
it is drawn where images are read, so an epoch can be entered anywhere and the number of workers changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exp.data.augment import Augment
from exp.data.decoders import reader
from exp.data.mix import Mix, Pairs, mixed
from exp.data.source import Pixels, Split

_RESIDENT_SHARE = 0.2  # of a GPU's free memory that a set may take
_AHEAD = 3  # batches that are being read, the one waited for included


@dataclass
class Batch:
    """One rank's share of one micro-batch.

    Attributes:
        images: (n, C, H, W) on the device; uint8 without an augmentation, else float32.
        labels: int64 (n,) on the device.
        weight: factor for the mean loss of this share, see `Batches`.
        size: samples of the micro-batch over all ranks.
        index: the micro-batch's place in the epoch.
        others: labels of the images that were mixed in, None where nothing was.
        shares: (n,) part of each image that is its own, None where nothing was mixed in.
    """

    images: Tensor
    labels: Tensor
    weight: float
    size: int
    index: int
    others: Tensor | None = None
    shares: Tensor | None = None


class Batches:
    """Iterates over one epoch of a split.

    `batch_size` is the number of samples of one optimizer step, however many devices and micro-batches share them.
    The N samples of an epoch are cut into ceil(N / batch_size) global batches, each of those into `accumulate`
    micro-batches, each of those into `world_size` contiguous rank shares. Every cut is balanced (parts differ by at
    most one sample), so there is no tiny last batch, nothing is dropped, nothing comes twice.

    A trainer divides each loss by `accumulate` and averages gradients over ranks. With
    `weight = n * world_size * accumulate / N_global` (n samples in this share, N_global in the global batch), the sum
    over ranks and micro-batches of `weight * mean loss / (world_size * accumulate)` is exactly the mean over the
    global batch, also where shares differ in size.

    The order is a permutation by (seed, epoch), or the split's own. Random changes are drawn for the whole micro-batch
    by (seed, epoch, index) and cut like the samples.

    Args:
        split: the samples.
        batch_size: samples of an optimizer step.
        shuffle: whether each epoch has its own random order.
        seed: any integer.
        device: where batches go.
        rank: number of this process.
        world_size: how many processes share each micro-batch.
        accumulate: micro-batches of an optimizer step.
        augment: changes and normalisation; None leaves uint8. Give it for a test part too (only normalising, or with
            the random flip that some publications leave in their test).
        mix: what images are mixed with one another, after the augmentation; None for nothing. Partners come from the
            whole micro-batch: with several devices, each reads its partners' images too.
        resident: whether the whole set is kept on the device (copied from a memory map where it is one); None decides:
            an ordinary array on the CPU is used in place, a GPU takes the set if it fits in a fifth of the free
            memory. Otherwise batches are read ahead in a thread. Files are never resident.
        workers: processes that decode images which are files, from the start of an iteration to its end; 0 decodes in
            a thread of this process.

    Raises:
        ValueError: if a number is out of range, or a share of a micro-batch could be empty.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
        augment: Augment | None = None,
        mix: Mix | None = None,
        resident: bool | None = None,
        workers: int = 0,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("world_size", world_size), ("accumulate", accumulate)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not one of {world_size}")
        if not len(split):
            raise ValueError("the split has no samples")
        self._steps = -(-len(split) // batch_size)
        smallest = len(split) // self._steps // accumulate
        if smallest < world_size:
            raise ValueError(
                f"{len(split)} samples in batches of {batch_size}, {accumulate} micro-batches each, leave "
                f"{smallest} for {world_size} devices; use a larger batch_size, fewer devices or less accumulate"
            )
        self._split = split
        self._shuffle = shuffle
        self._seed = seed
        self._device = torch.device(device)
        self._rank = rank
        self._world = world_size
        self._accumulate = accumulate
        if mix is not None and augment is None:
            raise ValueError("mix blends normalised images, so it needs an augmentation")
        self._augment = augment
        self._mix = mix
        self._workers = workers
        self._labels = torch.from_numpy(np.array(split.labels)).to(self._device)
        self._images = _resident(split.images, self._device, resident)
        self._epoch = 0
        self._start = 0

    def __len__(self) -> int:
        """Micro-batches of a whole epoch, wherever the position is."""
        return self._steps * self._accumulate

    @property
    def resident(self) -> bool:
        """Whether the whole set lies on the device."""
        return self._images is not None

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes every `iter()` from now on begin at micro-batch `start` of `epoch`, until this is called again.

        Raises:
            ValueError: if there is no such place (start may be the length: nothing is left then).
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise ValueError(f"epoch {epoch}, micro-batch {start} is not in epochs of {len(self)} micro-batches")
        self._epoch = epoch
        self._start = start

    def __iter__(self) -> Iterator[Batch]:
        # The position is taken now, not at the first next().
        epoch, start = self._epoch, self._start
        order = self._order(epoch)
        return self._from_device(order, epoch, start) if self.resident else self._from_host(order, epoch, start)

    def _order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return torch.arange(len(self._split))
        return torch.randperm(len(self._split), generator=_generator("order", self._seed, epoch))

    def _from_device(self, order: Tensor, epoch: int, start: int) -> Iterator[Batch]:
        assert self._images is not None
        order = order.to(self._device)
        for index in range(start, len(self)):
            places, pairs = self._places(epoch, index)
            first, last = self._share(index)
            rows = order[first:last] if pairs is None else order[places.to(self._device)]
            yield self._batch(self._images.index_select(0, rows), self._labels[rows], places, pairs, epoch, index)

    def _from_host(self, order: Tensor, epoch: int, start: int) -> Iterator[Batch]:
        numbers = order.numpy()
        left = iter(range(start, len(self)))
        ahead: deque[Any] = deque()
        with ExitStack() as stack:
            begin = stack.enter_context(reader(self._split.images, self._workers))
            while True:
                while len(ahead) < _AHEAD and (index := next(left, None)) is not None:
                    places, pairs = self._places(epoch, index)
                    rows = numbers[places.numpy()]
                    pixels = self._room(len(rows))
                    ahead.append((index, places, pairs, rows, pixels, begin(rows, pixels.numpy())))
                if not ahead:
                    return
                index, places, pairs, rows, pixels, reading = ahead.popleft()
                for part in reading:
                    part.result()
                if not ahead:
                    stack.close()  # nobody may ask for more than the last batch
                images = pixels.to(self._device, non_blocking=True)
                labels = self._labels[torch.from_numpy(rows).to(self._device)]
                yield self._batch(images, labels, places, pairs, epoch, index)

    def _places(self, epoch: int, index: int) -> tuple[Tensor, Pairs | None]:
        """Places in the epoch's order of this rank's samples, followed by those of partners from elsewhere."""
        (low, high), (first, last) = self._micro(index), self._share(index)
        own = torch.arange(first, last)
        if self._mix is None:
            return own, None
        assert self._augment is not None
        size = self._augment.out_size(self._split.images.shape[2:])
        pairs = self._mix.draw(high - low, size, _generator("mix", self._seed, epoch, index))
        pairs = pairs.part(first - low, last - low)
        partner = pairs.partner + low
        return torch.cat([own, partner[(partner < first) | (partner >= last)]]), pairs

    def _room(self, count: int) -> Tensor:
        """Host memory for that many images, uint8 (count, C, H, W), pinned for a GPU."""
        shape = (count, *self._split.images.shape[1:])
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")

    def _batch(
        self, images: Tensor, labels: Tensor, places: Tensor, pairs: Pairs | None, epoch: int, index: int
    ) -> Batch:
        (low, high), (first, last) = self._micro(index), self._share(index)
        if self._augment is not None:
            draws = self._augment.draw(high - low, _generator("augment", self._seed, epoch, index))
            at_hand = slice(first - low, last - low) if pairs is None else places - low
            images = self._augment.apply(images, [numbers[at_hand] for numbers in draws])
        whole = _cut(len(self._split), self._steps, index // self._accumulate)
        weight = (last - first) * self._world * self._accumulate / (whole[1] - whole[0])
        if pairs is None:
            return Batch(images, labels, weight, high - low, index)
        # Where each place is among the rows at hand: this rank's own first, then the partners from elsewhere.
        at = torch.empty(high - low, dtype=torch.int64)
        at[places - low] = torch.arange(len(places))
        partner = at[pairs.partner].to(self._device)
        count = last - first
        blended = mixed(images[:count], images[partner], pairs)
        return Batch(blended, labels[:count], weight, high - low, index, labels[partner], pairs.share.to(blended))

    def _micro(self, index: int) -> tuple[int, int]:
        """Places in the epoch's order of a micro-batch: first, and one past the last."""
        step, part = divmod(index, self._accumulate)
        low, high = _cut(len(self._split), self._steps, step)
        first, last = _cut(high - low, self._accumulate, part)
        return low + first, low + last

    def _share(self, index: int) -> tuple[int, int]:
        """Places in the epoch's order of this rank's share of a micro-batch."""
        low, high = self._micro(index)
        first, last = _cut(high - low, self._world, self._rank)
        return low + first, low + last


def _cut(total: int, parts: int, part: int) -> tuple[int, int]:
    """First place and one past the last of one of `parts` balanced parts of 0..total."""
    return total * part // parts, total * (part + 1) // parts


def _generator(*key: str | int) -> torch.Generator:
    """A CPU generator whose stream follows from the key alone, in any process (unlike Python's `hash`)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _resident(images: Pixels, device: torch.device, wanted: bool | None) -> Tensor | None:
    """The whole set on the device, or None where it is to be read batch by batch."""
    if not isinstance(images, np.ndarray):
        return None
    if wanted is None:
        if device.type == "cuda":
            wanted = images.nbytes <= _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        else:
            wanted = not isinstance(images, np.memmap)
    if not wanted:
        return None
    # torch warns of memory it may not write; such an array, and a map that is to be resident, is copied.
    usable = images.flags.writeable and images.flags.c_contiguous and not isinstance(images, np.memmap)
    return torch.from_numpy(images if usable else np.array(images, order="C")).to(device)

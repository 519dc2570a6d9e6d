"""Batches of an image set on a device: exact, resumable, the same on one device or many.

There is no sampler. The pixels are kept as uint8 where they are used and a batch is one gather; where they do not fit,
they are read or decoded a few batches ahead. All randomness of a batch follows from (seed, epoch, index) alone, and
none of it is drawn where images are read, so an epoch can be entered anywhere and workers change nothing.
"""

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
from exp.data.epoch import EpochLoader, EpochPlan, Share, generator
from exp.data.mix import Mix, Pairs, mixed
from exp.data.source import Pixels, Split

_RESIDENT_SHARE = 0.2  # of a GPU's free memory that a set may take
_AHEAD = 3  # batches that are being read, the one waited for included


@dataclass
class ImageBatch:
    """One rank's share of one micro-batch.

    Attributes:
        images: (n, C, H, W) on the device; uint8 without an augmentation, else float32.
        labels: int64 (n,) on the device.
        rows: int64 (n,) on the device, place of each sample in its part.
        weight: Factor of the mean loss of this share, see ``EpochPlan``.
        size: Samples of the micro-batch over all ranks.
        index: The micro-batch's place in the epoch.
        others: Labels of the images that were mixed in, None where nothing was.
        shares: (n,) part of each image that is its own, None where nothing was mixed in.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    weight: float
    size: int
    index: int
    others: Tensor | None = None
    shares: Tensor | None = None


class Batches(EpochLoader):
    """Iterates over one epoch of a split; order, cuts, shares and weights are those of a balanced ``EpochPlan``.

    Random changes are drawn for the whole micro-batch by (seed, epoch, index) and cut like the samples.

    Args:
        split: The samples.
        batch_size: Samples of an optimizer step, however many devices and micro-batches share them.
        shuffle: Whether each epoch has its own random order instead of the split's.
        seed: Any integer.
        device: Device of the batches.
        rank: Number of this process.
        world_size: Processes that share each micro-batch.
        accumulate: Micro-batches of an optimizer step.
        augment: Changes and normalisation; None leaves uint8. Give it for a test part too (only normalising, or with
            the random flip that some publications leave in their test).
        mix: What images are mixed with one another, after the augmentation; None for nothing. Partners come from the
            whole micro-batch: with several devices, each reads its partners' images too.
        resident: Whether the whole set is kept on the device (copied from a memory map where it is one); None decides:
            an ordinary array on the CPU is used in place, a GPU takes the set if it fits in a fifth of the free
            memory. Otherwise batches are read ahead in a thread. Files are never resident.
        workers: Processes that decode images which are files, from the start of an iteration to its end; 0 decodes in
            a thread of this process.

    Raises:
        ValueError: A number is out of range, or a share of a micro-batch could be empty.
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
        if mix is not None and augment is None:
            raise ValueError("mix blends normalised images, so it needs an augmentation")
        self.plan = EpochPlan.balanced(
            len(split),
            batch_size,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world_size=world_size,
            accumulate=accumulate,
        )
        self._split = split
        self._seed = seed
        self._device = torch.device(device)
        self._augment = augment
        self._mix = mix
        self._workers = workers
        self._labels = torch.from_numpy(np.array(split.labels)).to(self._device)
        self._images = on_device(split.images, self._device, resident)

    @property
    def resident(self) -> bool:
        """Whether the whole set is on the device."""
        return self._images is not None

    def __iter__(self) -> Iterator[ImageBatch]:
        # The position is taken now, not at the first next().
        epoch, left = self.plan.left()
        order = self.plan.order(epoch)
        return self._from_device(order, epoch, left) if self.resident else self._from_host(order, epoch, left)

    def _from_device(self, order: Tensor, epoch: int, left: range) -> Iterator[ImageBatch]:
        assert self._images is not None
        order = order.to(self._device)
        for index in left:
            share = self.plan.share(index)
            places, pairs = self._places(epoch, share)
            rows = order[share.first : share.last] if pairs is None else order[places.to(self._device)]
            yield self._batch(self._images.index_select(0, rows), rows, places, pairs, epoch, share)

    def _from_host(self, order: Tensor, epoch: int, left: range) -> Iterator[ImageBatch]:
        numbers = order.numpy()
        coming = iter(left)
        ahead: deque[Any] = deque()
        with ExitStack() as stack:
            begin = stack.enter_context(reader(self._split.images, self._workers))
            while True:
                while len(ahead) < _AHEAD and (index := next(coming, None)) is not None:
                    share = self.plan.share(index)
                    places, pairs = self._places(epoch, share)
                    rows = numbers[places.numpy()]
                    pixels = self._room(len(rows))
                    ahead.append((share, places, pairs, rows, pixels, begin(rows, pixels.numpy())))
                if not ahead:
                    return
                share, places, pairs, rows, pixels, reading = ahead.popleft()
                for part in reading:
                    part.result()
                if not ahead:
                    stack.close()  # nobody may ask for more than the last batch
                images = pixels.to(self._device, non_blocking=True)
                yield self._batch(images, torch.from_numpy(rows).to(self._device), places, pairs, epoch, share)

    def _places(self, epoch: int, share: Share) -> tuple[Tensor, Pairs | None]:
        """Returns places in the epoch's order of this rank's samples, followed by those of partners from elsewhere."""
        own = torch.arange(share.first, share.last)
        if self._mix is None:
            return own, None
        assert self._augment is not None
        size = self._augment.out_size(self._split.images.shape[2:])
        pairs = self._mix.draw(share.size, size, generator("mix", self._seed, epoch, share.index))
        pairs = pairs.part(share.own.start, share.own.stop)
        partner = pairs.partner + share.low
        return torch.cat([own, partner[(partner < share.first) | (partner >= share.last)]]), pairs

    def _room(self, count: int) -> Tensor:
        """Returns host memory for that many images, uint8 (count, C, H, W), pinned for a GPU."""
        shape = (count, *self._split.images.shape[1:])
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")

    def _batch(
        self, images: Tensor, rows: Tensor, places: Tensor, pairs: Pairs | None, epoch: int, share: Share
    ) -> ImageBatch:
        """Returns the batch of images at some places, changed at random and mixed."""
        labels = self._labels[rows]
        if self._augment is not None:
            draws = self._augment.draw(share.size, generator("augment", self._seed, epoch, share.index))
            at_hand = share.own if pairs is None else places - share.low
            images = self._augment.apply(images, [numbers[at_hand] for numbers in draws])
        if pairs is None:
            return ImageBatch(images, labels, rows, share.weight, share.size, share.index)
        # Where each place is among the rows at hand: this rank's own first, then the partners from elsewhere.
        at = torch.empty(share.size, dtype=torch.int64)
        at[places - share.low] = torch.arange(len(places))
        partner = at[pairs.partner].to(self._device)
        count = len(share)
        blended = mixed(images[:count], images[partner], pairs)
        return ImageBatch(
            blended,
            labels[:count],
            rows[:count],
            share.weight,
            share.size,
            share.index,
            others=labels[partner],
            shares=pairs.share.to(blended),
        )


def on_device(images: Pixels, device: torch.device, wanted: bool | None = None) -> Tensor | None:
    """Returns the pixels of a whole set on the device, or None where they are to be read batch by batch.

    Args:
        images: The set's pixels.
        device: The device.
        wanted: Whether they shall be there; None decides, see ``Batches``.
    """
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

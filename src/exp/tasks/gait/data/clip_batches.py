"""Batches of clips on a device: P persons with K walks each in training, whole walks of any length in the test.

Cuts, shares, weights and positions are those of ``exp.data.epoch.EpochPlan``. All randomness of a batch follows from
(seed, epoch, index) alone, so that an epoch can be entered anywhere and ranks share the draws of one process.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from exp.data.augment import RandomErase, RandomRotate
from exp.data.epoch import EpochLoader, EpochPlan, generator
from exp.data.source import DataError
from exp.tasks.gait.data.clips import Clips
from exp.tasks.gait.data.frame_sampler import FrameSampler
from exp.tasks.gait.options import ClipOptions

ERASE_AREA = (0.05, 0.2)
"""Smallest and largest share of a frame that a blanked box covers."""


@dataclass
class ClipBatch:
    """One rank's share of one micro-batch.

    Attributes:
        frames: float32 0..1 on the device: (n, s, H, W), or (F, H, W) with ``lengths``.
        lengths: Frames of each clip where clips come one behind the other, else None.
        labels: int64 (n,) persons by number, -1 where they are not those of the training.
        rows: int64 (n,) numbers of the clips in their split.
        shares: Clips of each rank in this micro-batch.
        ordered: Whether frames are in the order in which they were filmed.
        weight: Factor of the micro-batch's mean loss, see ``EpochPlan``.
        size: Clips of the micro-batch over all ranks.
        index: The micro-batch's place in the epoch.
    """

    frames: Tensor
    lengths: list[int] | None
    labels: Tensor
    rows: Tensor
    shares: tuple[int, ...]
    ordered: bool
    weight: float
    size: int
    index: int


class PersonBatches(EpochLoader):
    """Random persons with random walks of each: training batches for a loss over pairs.

    An optimizer step has ``batch_subjects`` persons with ``batch_clips`` clips each. Both are drawn without replacement
    (clips of a person who has fewer are drawn with it). Micro-batches are cut between persons, ranks' shares between
    clips. The loss of a micro-batch is one number over all ranks (embeddings are gathered), so each rank gives the same
    loss, and ``weight`` is the micro-batch's share of the step times the number of micro-batches.

    Args:
        clips: The training walks.
        options: See ``ClipOptions``.
        sampler: Frames of each clip; a number of them.
        seed: Any integer.
        device: Where batches go.
        rank: Number of this process.
        world_size: Processes that share each micro-batch.
        accumulate: Micro-batches of an optimizer step; ``ClipOptions.conflict`` refuses too many for the persons.

    Raises:
        ValueError: The sampler takes whole clips, or a share of a micro-batch would be empty.
        DataError: There are fewer persons than a batch has.
    """

    def __init__(
        self,
        clips: Clips,
        options: ClipOptions,
        *,
        sampler: FrameSampler,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        if sampler.frames is None:
            raise ValueError("training clips need a number of frames")
        names = clips.people
        if len(names) < options.batch_subjects:
            raise DataError(
                f"{len(names)} persons to train on, but a batch wants {options.batch_subjects}; lower"
                " data.batch_subjects to that"
            )
        numbers = {name: number for number, name in enumerate(names)}
        self.labels = np.array([numbers[name] for name in clips.ids.tolist()], dtype=np.int64)
        self._own = [np.flatnonzero(self.labels == number) for number in range(len(names))]
        self._clips, self._lengths = clips, clips.lengths
        self._people, self._walks = options.batch_subjects, options.batch_clips
        self.plan = EpochPlan(
            [self._people * self._walks] * options.steps,
            rank=rank,
            world_size=world_size,
            accumulate=accumulate,
            together=self._walks,
            joint=True,
        )
        self._sampler, self._seed = sampler, seed
        self._device = torch.device(device)
        self._rotate = RandomRotate(options.rotate) if options.rotate and options.rotate_probability else None
        self._rotate_probability = options.rotate_probability
        self._erase = RandomErase(options.erase, ERASE_AREA) if options.erase else None

    def __iter__(self) -> Iterator[ClipBatch]:
        epoch, left = self.plan.left()
        return ahead(lambda index: self._read(epoch, index), left, lambda batch: self._to_device(epoch, batch))

    def chosen(self, epoch: int, step: int) -> np.ndarray:
        """Returns the clips of an optimizer step, int64 (batch_subjects, batch_clips)."""
        draws = _draws("persons", self._seed, epoch, step)
        people = draws.choice(len(self._own), self._people, replace=False)
        return np.stack(
            [draws.choice(self._own[p], self._walks, replace=len(self._own[p]) < self._walks) for p in people]
        )

    def _read(self, epoch: int, index: int) -> ClipBatch:
        """Returns a batch in host memory, frames uint8."""
        share = self.plan.share(index)
        rows = self.chosen(epoch, share.step).ravel()[share.low - share.start : share.high - share.start][share.own]
        frames = np.stack(
            [
                self._clips.read(
                    int(row),
                    self._sampler.take(int(self._lengths[row]), _draws("frames", self._seed, epoch, index, place)),
                )
                for place, row in enumerate(rows.tolist(), share.own.start)
            ]
        )
        return ClipBatch(
            torch.from_numpy(frames),
            None,
            torch.from_numpy(self.labels[rows]),
            torch.from_numpy(rows),
            self.plan.counts(index),
            self._sampler.ordered,
            share.weight,
            share.size,
            index,
        )

    def _to_device(self, epoch: int, batch: ClipBatch) -> ClipBatch:
        """Returns a batch on the device, changed at random; the changes are drawn for all ranks' clips."""
        batch = _moved(batch, self._device)
        own = self.plan.share(batch.index).own
        random = generator("augment", self._seed, epoch, batch.index)
        if self._rotate is not None:
            draws = self._rotate.draw(batch.size, random)
            chosen = torch.rand(batch.size, generator=random) < self._rotate_probability
            still = torch.tensor([1.0, 0.0])
            draws = torch.where(chosen[:, None], draws, still)[own].to(self._device)
            batch.frames = self._rotate(batch.frames, draws)
        if self._erase is not None:
            batch.frames = self._erase(batch.frames, self._erase.draw(batch.size, random)[own].to(self._device))
        return batch


class WalkBatches(EpochLoader):
    """Whole walks, each once, several a batch without padding: for validation and test.

    Walks of like length share a batch of at most ``batch_frames`` frames (one walk may have more). Each batch is cut
    for the ranks by clips.

    Args:
        clips: The walks.
        sampler: Frames of each walk.
        batch_frames: Most frames of a batch on one device.
        device: Where batches go.
        rank: Number of this process.
        world_size: Processes that share each batch.

    Raises:
        DataError: There are fewer walks than devices.
    """

    def __init__(
        self,
        clips: Clips,
        *,
        sampler: FrameSampler,
        batch_frames: int,
        device: torch.device | str,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(clips) < world_size:
            raise DataError(f"{len(clips)} walks for {world_size} devices; use fewer devices")
        self._clips, self._sampler, self._lengths = clips, sampler, clips.lengths
        self._device = torch.device(device)
        lengths = (
            np.minimum(clips.lengths, sampler.limit) if sampler.frames is None else np.full(len(clips), sampler.frames)
        )
        batches = _packed(lengths, batch_frames * world_size, world_size)
        self._order = np.concatenate(batches)
        self.plan = EpochPlan([len(batch) for batch in batches], rank=rank, world_size=world_size, joint=True)

    def __iter__(self) -> Iterator[ClipBatch]:
        _, left = self.plan.left()
        return ahead(self._read, left, lambda batch: _moved(batch, self._device))

    def _read(self, index: int) -> ClipBatch:
        """Returns a batch in host memory, frames uint8."""
        share = self.plan.share(index)
        rows = self._order[share.first : share.last]
        # The draws are the clip's alone, so that all cells see the same test frames.
        taken = [
            self._clips.read(row, self._sampler.take(int(self._lengths[row]), _draws("test", row)))
            for row in rows.tolist()
        ]
        return ClipBatch(
            torch.from_numpy(np.concatenate(taken)),
            [len(frames) for frames in taken],
            torch.full((len(rows),), -1),
            torch.from_numpy(rows),
            self.plan.counts(index),
            self._sampler.ordered,
            share.weight,
            share.size,
            index,
        )


def ahead(
    read: Callable[[int], ClipBatch], indices: Sequence[int], finish: Callable[[ClipBatch], ClipBatch]
) -> Iterator[ClipBatch]:
    """Yields batches in turn, the next one read in a thread while the present one is used.

    Args:
        read: Returns the batch of a number, in host memory.
        indices: Numbers of the batches.
        finish: Brings a batch to its device.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="exp-read") as reader:
        coming = reader.submit(read, indices[0]) if len(indices) else None
        for place in range(len(indices)):
            assert coming is not None
            batch = coming.result()
            coming = reader.submit(read, indices[place + 1]) if place + 1 < len(indices) else None
            yield finish(batch)


def _moved(batch: ClipBatch, device: torch.device) -> ClipBatch:
    """Returns the batch on the device, frames as float32 0..1 in place of uint8 0..255."""
    frames = batch.frames.pin_memory() if device.type == "cuda" else batch.frames
    batch.frames = frames.to(device, non_blocking=True).float().div_(255)
    batch.labels, batch.rows = batch.labels.to(device), batch.rows.to(device)
    return batch


def _packed(lengths: np.ndarray, budget: int, least: int) -> list[np.ndarray]:
    """Returns the clip numbers of batches of like length: at most ``budget`` frames, at least ``least`` clips."""
    batches: list[list[int]] = []
    room = 0
    for row in np.argsort(lengths, kind="stable").tolist():
        if not batches or (room < lengths[row] and len(batches[-1]) >= least):
            batches.append([])
            room = budget
        batches[-1].append(row)
        room -= lengths[row]
    if len(batches) > 1 and len(batches[-1]) < least:
        batches[-2:] = [batches[-2] + batches[-1]]
    return [np.array(batch) for batch in batches]


def _draws(*key: str | int) -> np.random.RandomState:
    """Returns random numbers that follow from the key alone, in any process.

    Philox takes the key as it is; the default generator would spend more time on a seed than a clip takes to read.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.RandomState(np.random.Philox(key=int.from_bytes(digest[:16], "little")))

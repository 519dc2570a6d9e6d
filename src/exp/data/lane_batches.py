"""Batches of a lane set on a device: images augmented together with their points, then encoded.

Order, shares and weights are those of `exp.data.batches.Batches`, run over sample numbers. What is random about a
sample follows from (seed, epoch, place in the epoch's list) alone, so the number of devices changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.batches import Batches
from exp.data.lane_codec import Coded, LaneCodec
from exp.data.lane_source import LaneSplit
from exp.data.source import Split

_CELL = 8  # pixels of a cell of the map that says where there is image
_RESIDENT_SHARE = 0.2  # of a GPU's free memory that a set may take
_KEPT = 20_000  # encoded images that are kept


@dataclass
class LaneBatch:
    """One rank's share of one micro-batch.

    Attributes:
        images: float32 (n, 3, H, W), normalised.
        filled: bool (n, H / 8, W / 8), true where a cell's middle is inside the image.
        ids: int64 (n, S, T) tokens.
        x: float32 (n, S, T) in input pixels, NaN where there is no point.
        rows: int64 (n,) numbers of the samples in their split, on the host.
        weight: See `exp.data.batches.Batches`.
        size: Samples of the micro-batch over all ranks.
        index: The micro-batch's place in the epoch.
    """

    images: Tensor
    filled: Tensor
    ids: Tensor
    x: Tensor
    rows: np.ndarray
    weight: float
    size: int
    index: int


@dataclass(frozen=True)
class LaneAugment:
    """Random changes in training; each is off at 0.

    Attributes:
        flip: Probability of mirroring the image; points move with it, so slots are mirrored.
        rotate: Largest rotation in degrees.
        zoom: Largest relative change of size.
        shift: Largest shift as a share of the size.
        brightness: Largest relative change of brightness and of contrast.
    """

    flip: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0

    @property
    def bends(self) -> bool:
        """Whether points move otherwise than by mirroring."""
        return self.rotate > 0 or self.zoom > 0 or self.shift > 0


class LaneBatches:
    """Iterates over one epoch of a lane set.

    Args:
        split: The samples.
        codec: Turns lanes into tokens.
        batch_size: Samples of an optimizer step.
        shuffle: Whether each epoch has its own random order.
        seed: Any integer.
        device: Where batches go.
        mean: Subtracted from images in 0..1, one number or one a channel.
        std: Divides them after that.
        repeat: How often an epoch goes through the set.
        augment: Random changes; None for none.
        rank: Number of this process.
        world_size: How many processes share each micro-batch.
        accumulate: Micro-batches of an optimizer step.

    Attributes:
        dropped: Lanes that had no slot since this was last set to 0.
        outside: Lanes that augmentation moved out of the image, likewise.
    """

    def __init__(
        self,
        split: LaneSplit,
        codec: LaneCodec,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        device: torch.device | str,
        mean: float | list[float],
        std: float | list[float],
        repeat: int = 1,
        augment: LaneAugment | None = None,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.split = split
        self.codec = codec
        self.device = torch.device(device)
        self.augment = augment or LaneAugment()
        self.dropped = self.outside = 0
        places = len(split) * repeat
        # A place in the epoch's list is a one-pixel image here, labelled with its number.
        listed = Split(np.zeros((places, 1, 1, 1), dtype=np.uint8), np.arange(places, dtype=np.int64))
        self._places = Batches(
            listed,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            device="cpu",
            rank=rank,
            world_size=world_size,
            accumulate=accumulate,
        )
        self._seed = seed
        self._epoch = 0
        self._images = self._resident()
        self._mean = torch.as_tensor(mean, dtype=torch.float32, device=self.device).view(-1, 1, 1) * 255
        self._std = torch.as_tensor(std, dtype=torch.float32, device=self.device).view(-1, 1, 1) * 255
        self._coded: dict[tuple[int, bool], Coded] = {}

    def __len__(self) -> int:
        """Micro-batches of a whole epoch."""
        return len(self._places)

    def set_position(self, epoch: int, start: int = 0) -> None:
        """See `exp.data.batches.Batches.set_position`."""
        self._places.set_position(epoch, start)
        self._epoch = epoch

    def __iter__(self) -> Iterator[LaneBatch]:
        epoch = self._epoch
        for batch in self._places:
            places = batch.labels.numpy()
            yield self._batch(places, epoch, batch.weight, batch.size, batch.index)

    def _resident(self) -> Tensor | None:
        images = self.split.images
        if self.device.type == "cuda" and images.nbytes <= _RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return torch.from_numpy(np.array(images)).to(self.device)
        return None

    def _pixels(self, rows: np.ndarray) -> Tensor:
        if self._images is not None:
            return self._images[torch.from_numpy(rows).to(self.device)].float()
        return torch.from_numpy(self.split.images[rows]).to(self.device).float()

    def _batch(self, places: np.ndarray, epoch: int, weight: float, size: int, index: int) -> LaneBatch:
        rows = places % len(self.split)
        changes = [self._change(place, epoch) for place in places.tolist()]
        images = self._pixels(rows)
        matrices = np.stack([change[0] for change in changes])
        filled = _inside(matrices, images.shape, self.codec.view.filled).to(self.device)
        if self.augment.bends:
            images = _warped(images, matrices)
        elif self.augment.flip > 0:
            mirrored = torch.tensor([change[1] for change in changes], device=self.device)
            part = images[..., : self.codec.view.filled[1]]
            part[mirrored] = part[mirrored].flip(-1)
        if self.augment.brightness > 0:
            tone = torch.tensor([change[2] for change in changes], dtype=torch.float32, device=self.device)
            middle = images.mean((1, 2, 3), keepdim=True)
            images = (images - middle) * tone[:, 0, None, None, None] + middle * tone[:, 1, None, None, None]
            images = images.clamp(0, 255)
        coded = [
            self._encode(int(row), matrix, flipped) for row, (matrix, flipped, _) in zip(rows, changes, strict=True)
        ]
        self.dropped += sum(one.dropped for one in coded)
        self.outside += sum(one.outside for one in coded)
        return LaneBatch(
            (images - self._mean) / self._std,
            filled,
            torch.from_numpy(np.stack([one.ids for one in coded])).to(self.device),
            torch.from_numpy(np.stack([one.x for one in coded]).astype(np.float32)).to(self.device),
            rows,
            weight,
            size,
            index,
        )

    def _change(self, place: int, epoch: int) -> tuple[np.ndarray, bool, tuple[float, float]]:
        """A sample's matrix from input to changed input, whether it is mirrored, and factors of contrast and light."""
        change = self.augment
        if change == LaneAugment():
            return np.eye(3), False, (1.0, 1.0)
        rng = np.random.RandomState([self._seed % 2**32, epoch, place])
        flip, angle, size, right, down, contrast, light = rng.uniform(-1, 1, 7)
        height, width = self.codec.view.height, self.codec.view.width
        flipped = bool((flip + 1) / 2 < change.flip)
        turn = np.deg2rad(angle * change.rotate)
        scale = 1 + size * change.zoom
        cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
        around = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
        moved = np.array(
            [[cosine, -sine, right * change.shift * width], [sine, cosine, down * change.shift * height], [0, 0, 1]]
        )
        matrix = np.linalg.inv(around) @ moved @ around
        if flipped:
            mirror = np.array([[-1, 0, self.codec.view.filled[1]], [0, 1, 0], [0, 0, 1.0]])
            matrix = matrix @ mirror
        return matrix, flipped, (1 + contrast * change.brightness, 1 + light * change.brightness)

    def _encode(self, row: int, matrix: np.ndarray, flipped: bool) -> Coded:
        key = (row, flipped)
        if not self.augment.bends and key in self._coded:
            return self._coded[key]
        view = self.codec.view
        lanes = []
        for lane in self.split.lanes[row]:
            points = view.to_input(lane).astype(np.float64) @ matrix[:2, :2].T + matrix[:2, 2]
            if self.augment.rotate > 0:  # a turned lane may run level for a while; rows have to rise
                points = points[np.argsort(-points[:, 1], kind="stable")]
                points = points[np.concatenate([[True], np.diff(points[:, 1]) < 0])]
            lanes.append(points)
        if flipped:
            lanes.reverse()  # from left to right again
        coded = self.codec.encode(lanes)
        if not self.augment.bends and len(self._coded) < _KEPT:
            self._coded[key] = coded
        return coded


def _inside(matrices: np.ndarray, shape: torch.Size, filled: tuple[int, int]) -> Tensor:
    """Which cells, bool (n, H / 8, W / 8), have image in their middle after a change by matrices (n, 3, 3)."""
    ys, xs = ((np.arange(side // _CELL) + 0.5) * _CELL for side in shape[-2:])
    middles = np.stack(np.broadcast_arrays(xs[None, :], ys[:, None], 1.0), -1)
    sources = np.einsum("nij,hwj->nhwi", np.linalg.inv(matrices)[:, :2], middles)
    return torch.from_numpy(((sources >= 0) & (sources < [filled[1], filled[0]])).all(-1))


def _warped(images: Tensor, matrices: np.ndarray) -> Tensor:
    """Images (n, 3, H, W) changed by matrices (n, 3, 3) in pixels; what comes from outside is black."""
    count, _, height, width = images.shape
    # Pixels have their middle at half numbers; affine_grid wants both sides in -1..1.
    norm = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1.0]])
    back = norm @ np.linalg.inv(matrices) @ np.linalg.inv(norm)
    theta = torch.from_numpy(back[:, :2]).to(images.device, images.dtype)
    grid = F.affine_grid(theta, [count, 3, height, width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

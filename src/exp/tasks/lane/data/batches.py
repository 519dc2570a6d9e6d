"""Batches of a lane set on a device: images augmented together with their points, then encoded.

Order, shares and weights are those of ``exp.data.epoch.EpochPlan``, for a list that has each sample ``repeat`` times.
What is random about a sample follows from (seed, epoch, place in that list) alone, so the number of devices changes
nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.batches import on_device
from exp.data.epoch import EpochLoader, EpochPlan, Share
from exp.tasks.lane.data.codec import Coded, LaneCodec
from exp.tasks.lane.data.source import LaneSplit
from exp.tasks.lane.options import LaneDataOptions

_CELL = 8  # pixels of a cell of the map that says where there is image
_KEPT = 20_000  # encoded images that are kept

_Change = tuple[np.ndarray, bool, tuple[float, float]]
"""A sample's matrix (3, 3) from input to changed input, whether it is mirrored, factors of contrast and brightness."""


@dataclass
class LaneBatch:
    """A rank's share of a micro-batch.

    Attributes:
        images: float32 (n, 3, H, W), normalised.
        filled: bool (n, H / 8, W / 8), true where a cell's middle is inside the image.
        ids: int64 (n, S, T) tokens.
        x: float32 (n, S, T) in input pixels, NaN where there is no point.
        rows: int64 (n,) numbers of the samples in their split, on the host.
        weight: Factor of the share's mean loss, see ``EpochPlan``.
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


class LaneBatches(EpochLoader):
    """Iterates over an epoch of a lane set.

    Args:
        split: The samples.
        codec: Turns lanes into tokens.
        options: See ``LaneDataOptions``, of which those of batches, augmentation and normalisation are read.
        training: Whether each epoch has its own random order, goes ``repeat`` times through the set, and its images and
            points are changed at random.
        seed: Any integer; order and changes follow from it.
        device: Where batches go.
        rank: Number of this process.
        world_size: How many processes share each micro-batch.
        accumulate: Micro-batches of an optimizer step.

    Attributes:
        dropped: Lanes that had no slot since this was last set to 0.
        outside: Lanes in a slot that augmentation moved out of the image, counted in the same way.
    """

    def __init__(
        self,
        split: LaneSplit,
        codec: LaneCodec,
        options: LaneDataOptions,
        *,
        training: bool,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        self.split = split
        self.codec = codec
        self.device = torch.device(device)
        self.options = options
        self.dropped = self.outside = 0
        changes = (options.flip, options.rotate, options.zoom, options.shift, options.brightness)
        self._changing = training and any(change > 0 for change in changes)
        self._moving = training and (options.rotate > 0 or options.zoom > 0 or options.shift > 0)
        self.plan = EpochPlan.balanced(
            len(split) * (options.repeat if training else 1),
            options.batch_size,
            shuffle=training,
            seed=seed,
            rank=rank,
            world_size=world_size,
            accumulate=accumulate,
        )
        self._seed = seed
        self._images = on_device(split.images, self.device)
        self._mean = torch.as_tensor(options.mean, dtype=torch.float32, device=self.device).view(-1, 1, 1) * 255
        self._std = torch.as_tensor(options.std, dtype=torch.float32, device=self.device).view(-1, 1, 1) * 255
        self._coded: dict[tuple[int, bool], Coded] = {}

    def __iter__(self) -> Iterator[LaneBatch]:
        epoch, left = self.plan.left()
        order = self.plan.order(epoch).numpy()
        return (self._batch(order, epoch, self.plan.share(index)) for index in left)

    def _pixels(self, rows: np.ndarray) -> Tensor:
        """Returns images (n, 3, H, W) in 0..255 on the device, float32."""
        if self._images is not None:
            return self._images[torch.from_numpy(rows).to(self.device)].float()
        return torch.from_numpy(self.split.images[rows]).to(self.device).float()

    def _batch(self, order: np.ndarray, epoch: int, share: Share) -> LaneBatch:
        """Returns a share of an epoch whose order of the list's places is given."""
        places = order[share.first : share.last]
        rows = places % len(self.split)
        changes = [self._change(place, epoch) for place in places.tolist()]
        images = self._pixels(rows)
        matrices = np.stack([matrix for matrix, _, _ in changes])
        filled = _inside(matrices, images.shape, self.codec.view.filled).to(self.device)
        if self._changing:
            images = self._changed(images, matrices, changes)
        coded = [
            self._encode(int(row), matrix, flipped) for row, (matrix, flipped, _) in zip(rows, changes, strict=True)
        ]
        self.dropped += sum(image.dropped for image in coded)
        self.outside += sum(image.outside for image in coded)
        return LaneBatch(
            (images - self._mean) / self._std,
            filled,
            torch.from_numpy(np.stack([image.ids for image in coded])).to(self.device),
            torch.from_numpy(np.stack([image.x for image in coded]).astype(np.float32)).to(self.device),
            rows,
            share.weight,
            share.size,
            share.index,
        )

    def _changed(self, images: Tensor, matrices: np.ndarray, changes: list[_Change]) -> Tensor:
        """Returns images (n, 3, H, W) in 0..255 moved or mirrored, and with other contrast and brightness."""
        if self._moving:
            images = _warped(images, matrices)
        elif self.options.flip > 0:
            mirrored = torch.tensor([flipped for _, flipped, _ in changes], device=self.device)
            part = images[..., : self.codec.view.filled[1]]
            part[mirrored] = part[mirrored].flip(-1)
        if self.options.brightness > 0:
            tone = torch.tensor([factors for _, _, factors in changes], dtype=torch.float32, device=self.device)
            middle = images.mean((1, 2, 3), keepdim=True)
            images = (images - middle) * tone[:, 0, None, None, None] + middle * tone[:, 1, None, None, None]
            images = images.clamp(0, 255)
        return images

    def _change(self, place: int, epoch: int) -> _Change:
        """Returns the random change of the sample at a place of an epoch's list."""
        if not self._changing:
            return np.eye(3), False, (1.0, 1.0)
        change = self.options
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
        if not self._moving and key in self._coded:
            return self._coded[key]
        view = self.codec.view
        lanes = []
        for lane in self.split.lanes[row]:
            points = view.to_input(lane).astype(np.float64) @ matrix[:2, :2].T + matrix[:2, 2]
            if self._moving and self.options.rotate > 0:  # a turned lane may run level for a while; rows have to rise
                points = points[np.argsort(-points[:, 1], kind="stable")]
                points = points[np.concatenate([[True], np.diff(points[:, 1]) < 0])]
            lanes.append(points)
        if flipped:
            lanes.reverse()  # from left to right again
        coded = self.codec.encode(lanes)
        if not self._moving and len(self._coded) < _KEPT:
            self._coded[key] = coded
        return coded


def _inside(matrices: np.ndarray, shape: torch.Size, filled: tuple[int, int]) -> Tensor:
    """Returns which cells, bool (n, H / 8, W / 8), have image in their middle after changes by matrices (n, 3, 3)."""
    ys, xs = ((np.arange(side // _CELL) + 0.5) * _CELL for side in shape[-2:])
    middles = np.stack(np.broadcast_arrays(xs[None, :], ys[:, None], 1.0), -1)
    sources = np.einsum("nij,hwj->nhwi", np.linalg.inv(matrices)[:, :2], middles)
    return torch.from_numpy(((sources >= 0) & (sources < [filled[1], filled[0]])).all(-1))


def _warped(images: Tensor, matrices: np.ndarray) -> Tensor:
    """Returns images (n, 3, H, W) changed by matrices (n, 3, 3) in pixels; what comes from outside is black."""
    count, _, height, width = images.shape
    # Pixels have their middle at half numbers; affine_grid wants both sides in -1..1.
    norm = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1.0]])
    back = norm @ np.linalg.inv(matrices) @ np.linalg.inv(norm)
    theta = torch.from_numpy(back[:, :2]).to(images.device, images.dtype)
    grid = F.affine_grid(theta, [count, 3, height, width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

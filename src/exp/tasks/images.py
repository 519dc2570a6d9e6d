"""What tasks that classify images share: the model, the batches, the forward pass."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from exp.cells.machine import cpus
from exp.data.augment import Augment
from exp.data.batches import Batches
from exp.data.mix import Mix
from exp.data.options import ImageOptions
from exp.data.source import Split, refuse_unknown_labels
from exp.options.config import Config
from exp.options.parts import ModelOptions, TaskOptions
from exp.tasks.base import Task
from exp.tasks.build import backbone


class ImageTask(Task):
    """A classifier of images of one size, whose data set consists of ``exp.data.source.Split`` parts.

    Args:
        config: The cell's options.
        source: Reader of the data set, see ``exp.data.source.Source``.
        outputs: Number of logits of the model.
    """

    config: Config[TaskOptions, ModelOptions, ImageOptions]

    def __init__(self, config: Config, source: Any, outputs: int) -> None:
        super().__init__(config, source)
        self.model = backbone(
            config, in_channels=source.shape[0], num_classes=outputs, image_size=tuple(source.shape[1:])
        )
        self._splits: dict[str, Split] | None = None

    @property
    def splits(self) -> dict[str, Split]:
        """The data set's parts, read when first asked for."""
        if self._splits is None:
            self._splits = self.source.load()
            refuse_unknown_labels(self._splits, self.source.num_classes)
        return self._splits

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Returns the shape of a batch of one image."""
        return ((1, *self.source.shape),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Batches | None:
        """Returns batches of a split, augmented in training only (unless ``eval_flip`` asks for a source's flaw)."""
        if split not in self.splits:
            return None
        training = split == "train"
        return Batches(
            self.splits[split],
            batch_size=self.config.data.batch_size,
            shuffle=training,
            seed=self.config.seed,
            device=device,
            rank=rank,
            world_size=world_size,
            accumulate=self.config.trainer.accumulate if training else 1,
            augment=self.augment(training),
            mix=self.mix() if training else None,
            workers=decoding_workers(self.config.data.decoders, device, world_size),
        )

    def mix(self) -> Mix | None:
        """Returns what mixes training images with one another; None where the loss takes no mixed labels."""
        return None

    def augment(self, training: bool) -> Augment:
        """Returns the changes and the normalisation of the training part, or of the others."""
        return Augment(self.config.data, training=training, size=self.config.data.cut_to)

    def seen(self, pixels: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Returns stored images as the network is given them in a test, without random changes.

        Args:
            pixels: uint8 (n, C, H, W) of the size at which the data set stores them.

        Returns:
            The pixels uint8 (n, C, h, w) that the network is given, and the same normalised, on the task's device.
        """
        data = self.config.data
        still = Augment(size=data.cut_to, mean=data.mean, std=data.std)
        height, width = still.out_size(pixels.shape[2:])
        top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
        cut = np.ascontiguousarray(pixels[:, :, top : top + height, left : left + width])
        return cut, still.normalize(torch.from_numpy(cut).to(self.device), torch.empty(len(cut), 0))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (n, C, H, W) to logits (n, outputs)."""
        if self.config.trainer.channels_last is True:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.model(images)


def decoding_workers(wanted: int | None, device: torch.device, world_size: int) -> int:
    """Returns how many processes of this rank decode images: as asked for, else what training leaves of the cores."""
    if wanted is not None:
        return wanted
    if device.type != "cuda":
        return 1  # the threads of the training take the rest
    beside = min(world_size, torch.cuda.device_count())  # ranks on this machine
    return max(1, min(torch.get_num_threads(), cpus() // beside))

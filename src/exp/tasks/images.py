"""What tasks that classify images share: the model, the batches, the forward pass."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from exp.data.augment import Augment
from exp.data.batches import Batches
from exp.data.mix import Mix
from exp.data.source import Split
from exp.machine import cpus
from exp.models.build import backbone
from exp.tasks.base import Task


class ImageTask(Task):
    """A classifier of images of one size, whose sets lie in `exp.data.source.Split`s.

    Args:
        config: A cell's effective options.
        source: Reader of the data set.
        outputs: Logits of the model.
    """

    def __init__(self, config: dict[str, Any], source: Any, outputs: int) -> None:
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
        return self._splits

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """One image."""
        return ((1, *self.source.shape),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Batches | None:
        """Batches of a split, augmented in training only (unless ``eval_flip`` asks for a source's flaw)."""
        if split not in self.splits:
            return None
        training = split == "train"
        return Batches(
            self.labelled(split),
            batch_size=self.config["data"]["batch_size"],
            shuffle=training,
            seed=self.config["seed"],
            device=device,
            rank=rank,
            world_size=world_size,
            accumulate=self.config["trainer"]["accumulate"] if training else 1,
            augment=self.augment(training),
            mix=self.mix() if training else None,
            workers=decoding_workers(self.config["data"].get("workers"), device, world_size),
        )

    def mix(self) -> Mix | None:
        """What training images are mixed with one another; nothing where the loss takes no mixed labels."""
        return None

    def augment(self, training: bool) -> Augment:
        """Changes and normalisation of the training part, or of the others."""
        data = self.config["data"]
        return Augment(
            size=data["size"] if data.get("stored") else None,
            resized_crop=data["resized_crop"] if training else 0.0,
            jitter=data["jitter"] if training else 0.0,
            rand_augment=data["rand_augment"] if training else 0.0,
            crop=data["crop"] if training else 0,
            flip=data["flip"] if training else data["eval_flip"],
            rotate=data["rotate"] if training else 0.0,
            erase=data["erase"] if training else 0.0,
            mean=data["mean"],
            std=data["std"],
        )

    def seen(self, pixels: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Stored images as the net sees them in a test: uint8 pixels (n, C, H, W), and the same normalised."""
        data = self.config["data"]
        still = Augment(size=data["size"] if data.get("stored") else None, mean=data["mean"], std=data["std"])
        height, width = still.out_size(pixels.shape[2:])
        top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
        cut = np.ascontiguousarray(pixels[:, :, top : top + height, left : left + width])
        return cut, still.normalize(torch.from_numpy(cut).to(self.device), torch.empty(len(cut), 0))

    def labelled(self, split: str) -> Split:
        """A part with the labels that its batches carry."""
        return self.splits[split]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, outputs) of images (n, C, H, W)."""
        if self.config["trainer"]["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.model(images)


def decoding_workers(wanted: int | None, device: torch.device, world_size: int) -> int:
    """Processes of this rank that decode images: as many as asked for, else what the training leaves of the cores."""
    if wanted is not None:
        return wanted
    if device.type != "cuda":
        return 1  # the threads of the training take the rest
    beside = min(world_size, torch.cuda.device_count())  # ranks on this machine
    return max(1, min(torch.get_num_threads(), cpus() // beside))

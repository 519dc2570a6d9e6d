"""Image classification with attention blocks (notebook 004_19b35580bfaac8c6.txt)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.augment import Augment
from exp.data.batches import Batch, Batches
from exp.data.source import Split
from exp.metrics.classification import TopK
from exp.models.build import backbone
from exp.tasks.base import Task


class Attention(Task):
    """A ResNet with an attention block in every residual branch, trained with cross-entropy."""

    def __init__(self, config: dict[str, Any], source: Any) -> None:
        super().__init__(config, source)
        self.num_classes = source.num_classes
        outputs = config["task"]["head_classes"] or self.num_classes
        self.model = backbone(config, in_channels=source.shape[0], num_classes=outputs)
        self._splits: dict[str, Split] | None = None

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """One image."""
        return ((1, *self.source.shape),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Batches | None:
        """Batches of a split, augmented in training only (unless ``eval_flip`` asks for the source's flaw)."""
        if self._splits is None:
            self._splits = self.source.load()
        if split not in self._splits:
            return None
        data, training = self.config["data"], split == "train"
        augment = Augment(
            crop=data["crop"] if training else 0,
            flip=data["flip"] if training else data["eval_flip"],
            rotate=data["rotate"] if training else 0.0,
            erase=data["erase"] if training else 0.0,
            mean=data["mean"],
            std=data["std"],
        )
        return Batches(
            self._splits[split],
            batch_size=data["batch_size"],
            shuffle=training,
            seed=self.config["seed"],
            device=device,
            rank=rank,
            world_size=world_size,
            accumulate=self.config["trainer"]["accumulate"] if training else 1,
            augment=augment,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, outputs) of images (n, C, H, W)."""
        if self.config["trainer"]["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.model(images)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross-entropy with label smoothing."""
        smoothing = self.config["task"]["label_smoothing"]
        return F.cross_entropy(self(batch.images), batch.labels, label_smoothing=smoothing), len(batch.labels)

    def new_scores(self) -> TopK:
        """Top-1, top-5, loss."""
        return TopK(self.device, self.num_classes)

    def score(self, batch: Batch, scores: TopK) -> None:
        """Adds a batch."""
        logits = self(batch.images).float()
        scores.update(logits, batch.labels, F.cross_entropy(logits, batch.labels, reduction="none"))

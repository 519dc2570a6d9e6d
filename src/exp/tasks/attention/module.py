"""Image classification with attention blocks (notebook 004_19b35580bfaac8c6.txt)."""

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from exp.data.batches import ImageBatch
from exp.data.mix import Mix
from exp.data.options import ImageOptions
from exp.data.source import Source
from exp.metrics.classification import TopK
from exp.options.config import Config
from exp.options.parts import ModelOptions
from exp.tasks.attention.options import AttentionOptions
from exp.tasks.images import ImageTask

DRAWN_UP_TO = 20
"""Classes up to which the confusion matrix is drawn."""


class Attention(ImageTask):
    """A network of images with an attention block in its places, trained with cross-entropy.

    Args:
        config: The cell's options.
        source: Reader of the data set.
    """

    config: Config[AttentionOptions, ModelOptions, ImageOptions]

    def __init__(self, config: Config[AttentionOptions, ModelOptions, ImageOptions], source: Source) -> None:
        outputs = config.task.head_classes or source.num_classes
        super().__init__(config, source, outputs)
        self.outputs = outputs
        self.num_classes = source.num_classes
        self._tested: TopK | None = None

    def loss(self, batch: ImageBatch) -> tuple[Tensor, int]:
        """Returns the cross-entropy with label smoothing; of a mixed image, against both labels by their shares."""
        smoothing = self.config.task.label_smoothing
        logits = self(batch.images)
        if batch.others is None or batch.shares is None:
            return F.cross_entropy(logits, batch.labels, label_smoothing=smoothing), len(batch.labels)
        own, other = (
            F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
            for labels in (batch.labels, batch.others)
        )
        return (batch.shares * own + (1 - batch.shares) * other).mean(), len(batch.labels)

    def mix(self) -> Mix | None:
        """Returns what mixes images by mixup and CutMix, None where neither is asked for."""
        task = self.config.task
        return Mix(task.mixup, task.cutmix) if task.mixup or task.cutmix else None

    def new_scores(self) -> TopK:
        """Returns empty sums of top-1, top-5 and loss."""
        self._tested = TopK(self.num_classes, self.outputs)
        return self._tested

    def score(self, batch: ImageBatch, scores: TopK) -> None:
        """Adds a batch to the scores."""
        logits = self(batch.images).float()
        scores.update(logits, batch.labels, F.cross_entropy(logits, batch.labels, reduction="none"))

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the test's confusion matrix, as counts; draws it where the classes are few enough to read."""
        counts = self._tested.confusion() if self._tested else []
        if not counts:
            return {}
        names = list(self.source.class_names or [str(number) for number in range(len(counts))])
        if len(counts) <= DRAWN_UP_TO:
            from exp.metrics.pictures import draw_confusion

            draw_confusion(folder / "confusion.png", counts, names)
        return {"confusion": counts, "class_names": names}

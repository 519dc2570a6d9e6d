"""Image classification with attention blocks (notebook 004_19b35580bfaac8c6.txt)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.batches import ImageBatch
from exp.data.mix import Mix
from exp.data.options import ImageOptions
from exp.data.source import Source
from exp.metrics.classification import TopK
from exp.metrics.extremes import Case, Extremes
from exp.options.config import Config
from exp.options.parts import ModelOptions
from exp.tasks.attention.options import AttentionOptions
from exp.tasks.images import ImageTask

SHOWN = 20
"""Images of the most confident answers, right ones and wrong ones."""
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
        self._cases = Extremes(SHOWN)

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
        self._tested, self._cases = TopK(self.num_classes, self.outputs), Extremes(SHOWN)
        return self._tested

    def score(self, batch: ImageBatch, scores: TopK) -> None:
        """Adds a batch to the scores."""
        logits = self(batch.images).float()
        scores.update(logits, batch.labels, F.cross_entropy(logits, batch.labels, reduction="none"))
        if self.trainer.testing and self.global_rank == 0:
            self._keep(logits, batch)

    def _keep(self, logits: Tensor, batch: ImageBatch) -> None:
        """Keeps the surest answers: right ones by their probability, wrong ones by its lead over the label's."""
        sure, answers = logits.softmax(1).max(1)
        known = logits.softmax(1).gather(1, batch.labels[:, None])[:, 0]
        scores = torch.where(answers == batch.labels, sure, known - sure)
        listed = zip(scores.tolist(), batch.rows.tolist(), answers.tolist(), sure.tolist(), strict=True)
        self._cases.add(Case(score, row, (answer, share)) for score, row, answer, share in listed)

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the test's confusion matrix, as counts; draws it where the classes are few enough to read.

        Leaves pictures of the most confident answers too, ``confident.png`` of right ones and ``mistakes.png``.
        """
        self._draw_answers(folder / "confident.png", [case for case in self._cases.best if case.score > 0])
        self._draw_answers(folder / "mistakes.png", [case for case in self._cases.worst if case.score < 0])
        counts = self._tested.confusion() if self._tested else []
        if not counts:
            return {}
        names = list(self.source.class_names or [str(number) for number in range(len(counts))])
        if len(counts) <= DRAWN_UP_TO:
            from exp.metrics.pictures import draw_confusion

            draw_confusion(folder / "confusion.png", counts, names)
        return {"confusion": counts, "class_names": names}

    def _draw_answers(self, path: Path, cases: Sequence[Case]) -> None:
        from exp.metrics.pictures import caption, draw_answers

        if not cases:
            return
        part, names = self.splits["test"], dict(enumerate(self.source.class_names or ()))
        pixels, _ = self.seen(np.stack([part.images[case.row] for case in cases]))
        captions = []
        for case in cases:
            label, (answer, share) = int(part.labels[case.row]), case.shown
            captions.append(caption(names.get(label, str(label)), names.get(answer, str(answer)), share))
        draw_answers(path, [image.transpose(1, 2, 0).squeeze() for image in pixels], captions)

"""Scores of facial expression recognition, counted by torchmetrics on the device and read once at the end."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
    MulticlassStatScores,
)

from exp.metrics.calibration import CalibrationError, Sum
from exp.metrics.classification import IGNORED, Composed

PUBLIC = {"ExpressionScores": __name__}
"""Metrics that ``exp.metrics`` offers, and the modules that have them."""
BINS = 15
"""Bins of the calibration error."""


class ExpressionScores(Composed):
    """Accuracy, macro F1, balanced accuracy, calibration and loss; accuracy also without copies of other faces.

    Args:
        class_names: Names of the classes in order.
        tta: Name of a test-time augmentation that is scored beside the single view, under this name; None for none.
        voted: Whether the faces have the votes of taggers.

    Example:
        >>> from torch import tensor
        >>> metric = ExpressionScores(["happy", "sad"])
        >>> metric.update(tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), tensor([0, 1, 1]))
        >>> {name: round(value, 2) for name, value in metric.compute().items()}
        {'top1': 66.67, 'macro_f1': 66.67, 'balanced_accuracy': 75.0, 'ece': 19.38, 'loss': 0.58}
    """

    full_state_update = False

    def __init__(self, class_names: Sequence[str], *, tta: str | None = None, voted: bool = False) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.tta = tta
        self.voted = voted
        classes = len(self.class_names)
        self.accuracy = MulticlassAccuracy(classes, average="micro", validate_args=False).set_dtype(torch.float64)
        self.by_class = _by_class(classes)
        self.matrix = MulticlassConfusionMatrix(classes, validate_args=False)
        self.unique = MulticlassStatScores(classes, average="micro", ignore_index=IGNORED, validate_args=False)
        self.calibration = CalibrationError(classes, BINS)
        self.loss, self.votes_loss, self.votes_agreed = Sum(), Sum(), Sum()
        self.augmented = MetricCollection(
            {
                "top1": MulticlassAccuracy(classes, average="micro", validate_args=False),
                "f1": MulticlassF1Score(classes, average=None, validate_args=False),
                "counts": MulticlassStatScores(classes, average=None, validate_args=False),
            },
            compute_groups=False,
        ).set_dtype(torch.float64)

    def update(
        self,
        logits: Tensor,
        labels: Tensor,
        copied: Tensor | None = None,
        *,
        tta: Tensor | None = None,
        votes: Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            logits: (n, C).
            labels: int64 (n,).
            copied: bool (n,), whether an earlier part has a copy of the face; none has where not given.
            tta: (n, C) mean probabilities over augmented views; counted only where an augmentation was named.
            votes: (n, C) the taggers' distribution; counted only where there are votes.
        """
        probabilities = logits.softmax(1)
        predicted = probabilities.argmax(1)
        for metric in (self.accuracy, self.by_class, self.matrix):
            metric.update(predicted, labels)
        self.unique.update(predicted, labels if copied is None else labels.masked_fill(copied, IGNORED))
        self.calibration.update(probabilities, labels)
        self.loss.update(F.cross_entropy(logits, labels, reduction="sum"))
        if tta is not None:
            self.augmented.update(tta.argmax(1), labels)
        if votes is not None:
            self.votes_loss.update(F.cross_entropy(logits, votes, reduction="sum"))
            self.votes_agreed.update(votes.gather(1, predicted[:, None]).sum())

    def compute(self) -> dict[str, float]:
        """Returns the metrics, shares in percent; an empty dictionary where no batch was added.

        ``top1``, ``macro_f1`` (over the classes that have samples or were predicted), ``balanced_accuracy`` (over
        those that have samples), ``ece`` (expected calibration error, 15 bins), ``loss``; ``top1_unique`` without faces
        that have a copy in an earlier part; ``top1_NAME`` and ``macro_f1_NAME`` for the test-time augmentation NAME;
        ``votes_loss`` (cross-entropy against the taggers' distribution) and ``votes_agreement`` (share of the votes for
        the prediction).
        """
        scores, unique = self.by_class.compute(), self.unique.compute()
        self.matrix.compute()  # added up over the ranks now, while all of them are here
        count = int(scores["counts"][:, 4].sum())
        if count == 0:
            return {}
        present = scores["counts"][:, 4] > 0
        metrics = {
            "top1": 100 * float(self.accuracy.compute()),
            "macro_f1": 100 * float(scores["f1"][_seen(scores["counts"])].mean()),
            "balanced_accuracy": 100 * float(scores["recall"][present].mean()),
            "ece": float(self.calibration.compute()),
            "loss": float(self.loss.compute()) / count,
        }
        if 0 < int(unique[4]) < count:
            metrics["top1_unique"] = 100 * (int(unique[0]) / int(unique[4]))
        if self.tta:
            views = self.augmented.compute()
            metrics[f"top1_{self.tta}"] = 100 * float(views["top1"])
            metrics[f"macro_f1_{self.tta}"] = 100 * float(views["f1"][_seen(views["counts"])].mean())
        if self.voted:
            metrics["votes_loss"] = float(self.votes_loss.compute()) / count
            metrics["votes_agreement"] = 100 * float(self.votes_agreed.compute()) / count
        return metrics

    def details(self) -> dict[str, Any]:
        """Returns the confusion matrix (row = label) as counts, each class's scores in percent, faces with a copy.

        After ``compute`` a single rank may ask for them.
        """
        scores, matrix, unique = self.by_class.compute(), self.matrix.compute(), self.unique.compute()
        shares = {name: scores[name].tolist() for name in ("precision", "recall", "f1")}
        support = scores["counts"][:, 4].tolist()
        return {
            "class_names": self.class_names,
            "confusion": matrix.tolist(),
            "by_class": {
                name: {key: round(100 * values[place], 4) for key, values in shares.items()}
                | {"support": support[place]}
                for place, name in enumerate(self.class_names)
            },
            "copies": {
                "faces": int(matrix.sum() - unique[4]),
                "hits": int(matrix.diagonal().sum() - unique[0]),
            },
        }


def _by_class(classes: int) -> MetricCollection:
    """Returns precision, recall and F1 of each class in float64, and its counts, which all four share."""
    kinds = {
        "precision": MulticlassPrecision,
        "recall": MulticlassRecall,
        "f1": MulticlassF1Score,
        "counts": MulticlassStatScores,
    }
    members = {name: kind(classes, average=None, validate_args=False) for name, kind in kinds.items()}
    return MetricCollection(members).set_dtype(torch.float64)


def _seen(counts: Tensor) -> Tensor:
    """Returns which classes, bool (C,), have samples or were predicted.

    Args:
        counts: (C, 5) true positives, false positives, true negatives, false negatives and samples.
    """
    return counts[:, 0] + counts[:, 1] + counts[:, 4] > 0

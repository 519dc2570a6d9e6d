"""Scores of facial expression recognition: summed on the device, read once at the end."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from exp.metrics.confusion import accuracy, balanced_accuracy, by_class, confusion, macro_f1

BINS = 15
"""Bins of the calibration error."""


class ExpressionScores:
    """Sums over an evaluation.

    Args:
        device: Device of the sums.
        class_names: Names of the classes in order.
        tta: Name of a test-time augmentation that is scored beside the single view, under this name; None for none.
        voted: Whether the faces have the votes of taggers.
    """

    def __init__(self, device: torch.device, class_names: list[str], *, tta: str | None, voted: bool) -> None:
        self.class_names = class_names
        self.tta = tta
        self.voted = voted
        square = len(class_names) ** 2
        self._sizes = {"all": square, "unique": square, "tta": square, "bins": 3 * BINS, "loss": 1, "votes": 2}
        self.sums = torch.zeros(sum(self._sizes.values()), dtype=torch.float64, device=device)

    def update(
        self,
        logits: Tensor,
        labels: Tensor,
        copied: Tensor,
        *,
        tta: Tensor | None = None,
        votes: Tensor | None = None,
    ) -> None:
        """Adds a batch to the sums.

        Args:
            logits: (n, C).
            labels: int64 (n,).
            copied: bool (n,), whether an earlier part has a copy of the face.
            tta: (n, C) mean probabilities over augmented views; counted only where an augmentation was named.
            votes: (n, C) the taggers' distribution; counted only where there are votes.
        """
        classes = len(self.class_names)
        confidence, predicted = logits.softmax(1).max(1)
        hits = (predicted == labels).double()
        bins = torch.zeros(3, BINS, dtype=torch.float64, device=logits.device)
        place = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
        bins.index_add_(1, place, torch.stack([torch.ones_like(hits), confidence.double(), hits]))
        added = {
            "all": confusion(labels, predicted, classes),
            "unique": confusion(labels, predicted, classes, weights=(~copied).double()),
            "tta": self.sums.new_zeros(classes, classes) if tta is None else confusion(labels, tta.argmax(1), classes),
            "bins": bins,
            "loss": F.cross_entropy(logits, labels, reduction="sum").double(),
            "votes": self.sums.new_zeros(2),
        }
        if votes is not None:
            against = F.cross_entropy(logits, votes, reduction="sum")
            added["votes"] = torch.stack([against, votes.gather(1, predicted[:, None]).sum()]).double()
        self.sums += torch.cat([added[name].flatten() for name in self._sizes])

    def compute(self) -> dict[str, float]:
        """Returns the metrics, shares in percent; an empty dictionary where no batch was added.

        ``top1``, ``macro_f1``, ``balanced_accuracy``, ``ece`` (expected calibration error, 15 bins), ``loss``;
        ``top1_unique`` without faces that have a copy in an earlier part; ``top1_NAME`` and ``macro_f1_NAME`` for the
        test-time augmentation NAME; ``votes_loss`` (cross-entropy against the taggers' distribution) and
        ``votes_agreement`` (share of the votes for the prediction).
        """
        parts = self._parts()
        matrix, unique = parts["all"], parts["unique"]
        count = float(matrix.sum())
        if count == 0:
            return {}
        metrics = {
            "top1": accuracy(matrix),
            "macro_f1": macro_f1(matrix),
            "balanced_accuracy": balanced_accuracy(matrix),
            "ece": self._calibration_error(parts["bins"], count),
            "loss": float(parts["loss"]) / count,
        }
        if 0 < float(unique.sum()) < count:
            metrics["top1_unique"] = accuracy(unique)
        if self.tta:
            metrics |= {f"top1_{self.tta}": accuracy(parts["tta"]), f"macro_f1_{self.tta}": macro_f1(parts["tta"])}
        if self.voted:
            against, agreed = parts["votes"].tolist()
            metrics |= {"votes_loss": against / count, "votes_agreement": 100 * agreed / count}
        return metrics

    def details(self) -> dict[str, Any]:
        """Returns the confusion matrix (row = label) as counts, each class's scores in percent, faces with a copy."""
        parts = self._parts()
        matrix = parts["all"]
        scores = by_class(matrix)
        count, hit = matrix.sum(), matrix.diagonal().sum()
        unique, hit_unique = parts["unique"].sum(), parts["unique"].diagonal().sum()
        return {
            "class_names": self.class_names,
            "confusion": matrix.long().tolist(),
            "by_class": {
                name: {key: round(_percent(key, float(values[place])), 4) for key, values in scores.items()}
                for place, name in enumerate(self.class_names)
            },
            "copies": {"faces": int(count - unique), "hits": int(hit - hit_unique)},
        }

    def _parts(self) -> dict[str, Tensor]:
        """Returns the sums by name, in their shapes, on the CPU."""
        classes = len(self.class_names)
        parts = dict(zip(self._sizes, self.sums.cpu().split(list(self._sizes.values())), strict=True))
        square = {name: parts[name].view(classes, classes) for name in ("all", "unique", "tta")}
        return parts | square | {"bins": parts["bins"].view(3, BINS)}

    @staticmethod
    def _calibration_error(bins: Tensor, count: float) -> float:
        """Returns the expected calibration error in percent.

        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 5.
        """
        return 100 * float((bins[2] - bins[1]).abs().sum()) / count


def _percent(name: str, value: float) -> float:
    """Returns a score of ``by_class`` in percent; the support is a count and remains one."""
    return value if name == "support" else 100 * value

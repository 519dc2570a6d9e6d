"""Everything a confusion matrix tells: accuracy, precision, recall, F1, a class and on average."""

import torch
from torch import Tensor


def confusion(labels: Tensor, predicted: Tensor, num_classes: int, weights: Tensor | None = None) -> Tensor:
    """Counts of pairs.

    Args:
        labels: int64 (n,).
        predicted: int64 (n,).
        num_classes: C.
        weights: float64 (n,), how much each pair counts; 1 where not given.

    Returns:
        float64 (C, C) on the labels' device: row = label, column = prediction.
    """
    counts = torch.bincount(labels * num_classes + predicted, weights, minlength=num_classes**2)
    return counts.view(num_classes, num_classes).double()


def by_class(matrix: Tensor) -> dict[str, Tensor]:
    """Precision, recall and F1 of each class, 0 where nothing was predicted or nothing was there.

    Args:
        matrix: (C, C) counts, row = label.

    Returns:
        ``precision``, ``recall``, ``f1``, ``support``, each float64 (C,); all but the support in 0..1.
    """
    hits, labelled, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    return {
        "precision": hits / predicted.clamp(min=1),
        "recall": hits / labelled.clamp(min=1),
        "f1": 2 * hits / (labelled + predicted).clamp(min=1),
        "support": labelled,
    }


def accuracy(matrix: Tensor) -> float:
    """Share of hits in percent; 0 where nothing was counted."""
    return 100 * float(matrix.diagonal().sum() / matrix.sum().clamp(min=1))


def balanced_accuracy(matrix: Tensor) -> float:
    """Mean recall in percent of the classes that there are."""
    there = matrix.sum(1) > 0
    return 100 * float(by_class(matrix)["recall"][there].mean()) if bool(there.any()) else 0.0


def macro_f1(matrix: Tensor) -> float:
    """Mean F1 in percent of the classes that are there or were predicted."""
    seen = (matrix.sum(1) + matrix.sum(0)) > 0
    return 100 * float(by_class(matrix)["f1"][seen].mean()) if bool(seen.any()) else 0.0

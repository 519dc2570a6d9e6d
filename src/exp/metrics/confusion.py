"""Scores that follow from a confusion matrix: accuracy, precision, recall and F1, by class and on average."""

import torch
from torch import Tensor


def confusion(labels: Tensor, predicted: Tensor, num_classes: int, weights: Tensor | None = None) -> Tensor:
    """Counts the pairs of label and prediction.

    Args:
        labels: int64 (n,).
        predicted: int64 (n,).
        num_classes: C.
        weights: float64 (n,), the amount that each pair counts; 1 where not given.

    Returns:
        float64 (C, C) on the labels' device: row = label, column = prediction.
    """
    counts = torch.bincount(labels * num_classes + predicted, weights, minlength=num_classes**2)
    return counts.view(num_classes, num_classes).double()


def by_class(matrix: Tensor) -> dict[str, Tensor]:
    """Returns precision, recall and F1 of each class, 0 where it was never predicted or has no samples.

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
    """Returns the share of hits in percent; 0 for an empty matrix."""
    return 100 * float(matrix.diagonal().sum() / matrix.sum().clamp(min=1))


def balanced_accuracy(matrix: Tensor) -> float:
    """Returns the mean recall in percent over the classes that have samples; 0 for an empty matrix."""
    present = matrix.sum(1) > 0
    return 100 * float(by_class(matrix)["recall"][present].mean()) if bool(present.any()) else 0.0


def macro_f1(matrix: Tensor) -> float:
    """Returns the mean F1 in percent over the classes that have samples or were predicted; 0 for an empty matrix."""
    seen = (matrix.sum(1) + matrix.sum(0)) > 0
    return 100 * float(by_class(matrix)["f1"][seen].mean()) if bool(seen.any()) else 0.0

"""Averages of a confusion matrix, compared with scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from exp.metrics.confusion import accuracy, balanced_accuracy, by_class, confusion, macro_f1


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    labels = random.choice(7, 400, p=[0.3, 0.01, 0.2, 0.2, 0.1, 0.09, 0.1])
    return labels, np.where(random.rand(400) < 0.5, labels, random.randint(0, 7, 400))


def test_averages_equal_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = answers
    matrix = confusion(torch.from_numpy(labels), torch.from_numpy(predicted), 7)
    assert np.array_equal(matrix.numpy(), metrics.confusion_matrix(labels, predicted, labels=range(7)))
    assert accuracy(matrix) == pytest.approx(100 * metrics.accuracy_score(labels, predicted))
    assert balanced_accuracy(matrix) == pytest.approx(100 * metrics.balanced_accuracy_score(labels, predicted))
    assert macro_f1(matrix) == pytest.approx(100 * metrics.f1_score(labels, predicted, average="macro"))
    expected = metrics.precision_recall_fscore_support(labels, predicted, labels=range(7), zero_division=0.0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert by_class(matrix)[name].tolist() == pytest.approx(values.tolist())


def test_absent_classes_count_for_nothing() -> None:
    matrix = confusion(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 4)
    assert balanced_accuracy(matrix) == 75
    assert macro_f1(matrix) == pytest.approx(100 * 2 / 3)
    empty = torch.zeros(3, 3, dtype=torch.float64)
    assert (accuracy(empty), balanced_accuracy(empty), macro_f1(empty)) == (0, 0, 0)


def test_weights_say_how_much_a_pair_counts() -> None:
    labels, predicted = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    matrix = confusion(labels, predicted, 2, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    assert matrix.tolist() == [[1, 0], [1, 0]]

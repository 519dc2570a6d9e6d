"""Scores of facial expression recognition, against plain computations."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor

from exp.tasks.fer.metrics import BINS, ExpressionScores

NAMES = ["angry", "disgust", "fear"]
CPU = torch.device("cpu")


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    logits, labels = 2 * torch.randn(200, 3), torch.randint(0, 3, (200,))
    return logits, labels, torch.rand(200) < 0.3


def test_scores_with_and_without_copies(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, copied = batch
    scores = ExpressionScores(CPU, NAMES, tta=None, voted=False)
    scores.update(*batch)
    found = scores.compute()
    predicted = logits.argmax(1)
    assert found["top1"] == pytest.approx(100 * accuracy_score(labels, predicted))
    assert found["top1_unique"] == pytest.approx(100 * accuracy_score(labels[~copied], predicted[~copied]))
    assert found["macro_f1"] == pytest.approx(100 * f1_score(labels, predicted, average="macro"))
    assert found["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-6)
    assert found.keys() == {"top1", "macro_f1", "balanced_accuracy", "ece", "loss", "top1_unique"}
    assert scores.details()["copies"]["faces"] == int(copied.sum())


def test_the_calibration_error_is_that_of_its_definition(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, _ = batch
    scores = ExpressionScores(CPU, NAMES, tta=None, voted=False)
    scores.update(*batch)
    confidence, predicted = (value.numpy() for value in logits.softmax(1).max(1))
    hit = predicted == labels.numpy()
    error = 0.0
    for low, high in zip(np.linspace(0, 1, BINS + 1)[:-1], np.linspace(0, 1, BINS + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert scores.compute()["ece"] == pytest.approx(100 * error, rel=1e-5)


def test_batches_add_up_and_so_do_ranks(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    whole, parts = (ExpressionScores(CPU, NAMES, tta=None, voted=False) for _ in range(2))
    other = ExpressionScores(CPU, NAMES, tta=None, voted=False)
    whole.update(*batch)
    parts.update(*(value[:70] for value in batch))
    other.update(*(value[70:] for value in batch))
    parts.sums += other.sums
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-6)
    assert parts.details() == whole.details()


def test_test_time_augmentation_is_always_named(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, copied = batch
    scores = ExpressionScores(CPU, NAMES, tta="ten_crop", voted=False)
    scores.update(logits, labels, copied, tta=torch.nn.functional.one_hot(labels, 3).float())
    found = scores.compute()
    assert found["top1_ten_crop"] == found["macro_f1_ten_crop"] == 100
    assert found["top1"] < 100


def test_votes_are_scored_against_the_distribution() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    votes = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.0, 0.8]])
    scores = ExpressionScores(CPU, NAMES, tta=None, voted=True)
    scores.update(logits, votes.argmax(1), torch.zeros(2, dtype=torch.bool), votes=votes)
    found = scores.compute()
    assert found["votes_agreement"] == pytest.approx(100 * (0.7 + 0.0) / 2)
    assert found["votes_loss"] == pytest.approx(float(-(votes * logits.log_softmax(1)).sum(1).mean()), rel=1e-6)
    assert "top1_unique" not in found  # there are no copies


def test_details_name_the_classes_with_their_scores() -> None:
    scores = ExpressionScores(CPU, NAMES, tta=None, voted=False)
    logits = torch.eye(3)[[0, 0, 1, 2, 2]] * 9
    scores.update(logits, torch.tensor([0, 1, 1, 2, 2]), torch.tensor([False, True, False, False, True]))
    details = scores.details()
    assert details["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 2]]
    assert details["by_class"]["disgust"] == {"precision": 100, "recall": 50, "f1": 66.6667, "support": 2}
    assert details["copies"] == {"faces": 2, "hits": 1}


def test_nothing_counted_gives_nothing() -> None:
    assert ExpressionScores(CPU, NAMES, tta=None, voted=False).compute() == {}

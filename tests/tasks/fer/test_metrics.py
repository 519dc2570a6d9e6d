"""Scores of facial expression recognition, against plain computations."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_recall_fscore_support
from torch import Tensor
from torchmetrics import Metric

from exp.tasks.fer.metrics import BINS, ExpressionScores

NAMES = ["angry", "disgust", "fear"]


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    logits, labels = 2 * torch.randn(200, 3), torch.randint(0, 3, (200,))
    return logits, labels, torch.rand(200) < 0.3


def test_scores_with_and_without_copies(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, copied = batch
    scores = ExpressionScores(NAMES, tta=None, voted=False)
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
    scores = ExpressionScores(NAMES, tta=None, voted=False)
    scores.update(*batch)
    confidence, predicted = (value.numpy() for value in logits.softmax(1).max(1))
    hit = predicted == labels.numpy()
    error = 0.0
    for low, high in zip(np.linspace(0, 1, BINS + 1)[:-1], np.linspace(0, 1, BINS + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert scores.compute()["ece"] == pytest.approx(100 * error, rel=1e-5)


def test_batches_add_up(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    whole, parts = (ExpressionScores(NAMES, tta=None, voted=False) for _ in range(2))
    whole.update(*batch)
    parts.update(*(value[:70] for value in batch))
    parts.update(*(value[70:] for value in batch))
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-6)
    assert parts.details() == whole.details()


def test_test_time_augmentation_is_always_named(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, labels, copied = batch
    scores = ExpressionScores(NAMES, tta="ten_crop", voted=False)
    scores.update(logits, labels, copied, tta=torch.nn.functional.one_hot(labels, 3).float())
    found = scores.compute()
    assert found["top1_ten_crop"] == found["macro_f1_ten_crop"] == 100
    assert found["top1"] < 100


def test_votes_are_scored_against_the_distribution() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    votes = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.0, 0.8]])
    scores = ExpressionScores(NAMES, tta=None, voted=True)
    scores.update(logits, votes.argmax(1), torch.zeros(2, dtype=torch.bool), votes=votes)
    found = scores.compute()
    assert found["votes_agreement"] == pytest.approx(100 * (0.7 + 0.0) / 2)
    assert found["votes_loss"] == pytest.approx(float(-(votes * logits.log_softmax(1)).sum(1).mean()), rel=1e-6)
    assert "top1_unique" not in found  # there are no copies


def test_details_name_the_classes_with_their_scores() -> None:
    scores = ExpressionScores(NAMES, tta=None, voted=False)
    logits = torch.eye(3)[[0, 0, 1, 2, 2]] * 9
    scores.update(logits, torch.tensor([0, 1, 1, 2, 2]), torch.tensor([False, True, False, False, True]))
    details = scores.details()
    assert details["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 2]]
    assert details["by_class"]["disgust"] == {"precision": 100, "recall": 50, "f1": 66.6667, "support": 2}
    assert details["copies"] == {"faces": 2, "hits": 1}


def test_after_compute_one_rank_alone_asks_for_details(
    batch: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = ExpressionScores(NAMES)
    scores.update(*batch)
    scores.compute()
    monkeypatch.setattr(Metric, "sync", None)  # adding up over the ranks would wait for the others
    assert sum(map(sum, scores.details()["confusion"])) == 200


def test_nothing_counted_gives_nothing() -> None:
    with pytest.warns(UserWarning, match="before the ``update`` method"):  # of torchmetrics
        assert ExpressionScores(NAMES, tta=None, voted=False).compute() == {}


def test_averages_over_classes_are_scikit_learns() -> None:
    random = np.random.RandomState(0)
    labels = random.choice(7, 400, p=[0.3, 0.01, 0.2, 0.2, 0.1, 0.09, 0.1])
    predicted = np.where(random.rand(400) < 0.5, labels, random.randint(0, 7, 400))
    scores = ExpressionScores([str(number) for number in range(7)])
    scores.update(torch.eye(7)[predicted], torch.from_numpy(labels))
    result = scores.compute()
    assert result["balanced_accuracy"] == pytest.approx(100 * balanced_accuracy_score(labels, predicted), abs=1e-12)
    assert result["macro_f1"] == pytest.approx(100 * f1_score(labels, predicted, average="macro"), abs=1e-12)
    expected = precision_recall_fscore_support(labels, predicted, labels=range(7), zero_division=0.0)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        ours = [scores.details()["by_class"][str(number)][name] for number in range(7)]
        assert ours == pytest.approx([100 * value for value in values], abs=1e-4)


def test_classes_without_samples_are_left_out_of_averages() -> None:
    scores = ExpressionScores(["a", "b", "c", "d"])
    scores.update(torch.eye(4)[[0, 1, 1]], torch.tensor([0, 0, 1]))
    assert scores.compute()["balanced_accuracy"] == 75
    assert scores.compute()["macro_f1"] == pytest.approx(100 * 2 / 3)
    scores.reset()
    scores.update(torch.eye(4)[[2, 1]], torch.tensor([1, 1]))  # c has no samples, but was predicted
    assert scores.compute()["balanced_accuracy"] == 50
    assert scores.compute()["macro_f1"] == pytest.approx(100 * (2 / 3) / 2)


def test_certainty_is_in_the_last_bin() -> None:
    """torchmetrics gives confidences of exactly 1 a bin of their own: 0.5 * |1 - 0.5| + 0.5 * |1 - 0.95| / 1 there."""
    scores = ExpressionScores(["a", "b"])
    probabilities = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.95, 0.05], [0.95, 0.05]])
    scores.update(probabilities.log().clamp(min=-200), torch.tensor([0, 1, 0, 0]))
    assert scores.compute()["ece"] == pytest.approx(100 * abs(0.75 - 0.975), abs=1e-4)

import pickle

import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from torchmetrics import Metric

from exp.metrics.classification import TopK


def test_scores_and_confusion_are_sklearns() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = TopK(7)
    every_logit, every_label = [], []
    for n in (5, 1, 12):
        logits, labels = torch.randn(n, 7, generator=generator), torch.randint(7, (n,), generator=generator)
        scores.update(logits, labels, F.cross_entropy(logits, labels, reduction="none"))
        every_logit.append(logits)
        every_label.append(labels)
    logits, labels = torch.cat(every_logit), torch.cat(every_label)
    result = scores.compute()
    assert abs(result["top1"] - 100 * sklearn.metrics.accuracy_score(labels, logits.argmax(1))) < 1e-9
    known = list(range(7))
    top5 = sklearn.metrics.top_k_accuracy_score(labels, logits, k=5, labels=known)
    assert abs(result["top5"] - 100 * top5) < 1e-9
    assert abs(result["loss"] - float(F.cross_entropy(logits, labels))) < 1e-6
    expected = sklearn.metrics.confusion_matrix(labels, logits.argmax(1), labels=known)
    assert scores.confusion() == expected.tolist()


def test_an_output_that_is_no_class_is_a_miss_and_in_no_column() -> None:
    scores = TopK(2, outputs=3)
    logits = torch.tensor([[0.0, 1.0, 5.0], [3.0, 0.0, 1.0]])
    labels = torch.tensor([1, 0])
    scores.update(logits, labels, F.cross_entropy(logits, labels, reduction="none"))
    assert scores.compute()["top1"] == 50
    assert scores.confusion() == [[1, 0], [0, 0]]


def test_many_classes_have_no_confusion_matrix() -> None:
    scores = TopK(101)
    assert scores.confusion() == []
    with pytest.warns(UserWarning, match="before the ``update`` method"):  # of torchmetrics
        assert scores.compute() == {}


def test_quotients_are_not_rounded_to_float32() -> None:
    scores = TopK(3)
    scores.update(torch.eye(3)[[0, 1, 2, 0, 0, 0, 1]], torch.tensor([0, 1, 1, 0, 0, 0, 1]), torch.zeros(7))
    assert scores.compute()["top1"] == 100 * 6 / 7


def test_losses_are_summed_in_float64_on_whatever_device_the_metric_is_moved_to() -> None:
    scores = TopK(3).to("cpu")
    scores.update(torch.eye(3), torch.tensor([0, 1, 1]), torch.tensor([1.0, 1e-12, 0.0], dtype=torch.float64))
    assert scores.compute()["loss"] == (1.0 + 1e-12) / 3


def test_after_compute_one_rank_alone_asks_for_the_confusion_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = TopK(3)
    scores.update(torch.eye(3), torch.tensor([0, 1, 1]), torch.ones(3))
    scores.compute()
    monkeypatch.setattr(Metric, "sync", None)  # adding up over the ranks would wait for the others
    assert scores.confusion() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_a_metric_is_reset_pickled_and_moved() -> None:
    scores = TopK(3)
    scores.update(torch.eye(3), torch.tensor([0, 1, 1]), torch.ones(3))
    first = scores.compute()
    assert pickle.loads(pickle.dumps(scores)).compute() == first
    assert scores.to("meta").top1.tp.device.type == "meta"
    scores = TopK(3)
    scores.update(torch.eye(3), torch.tensor([0, 1, 1]), torch.ones(3))
    scores.reset()
    scores.update(torch.eye(3), torch.tensor([0, 1, 2]), torch.ones(3))
    assert scores.compute()["top1"] == 100

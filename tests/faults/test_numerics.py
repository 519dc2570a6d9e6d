"""Numbers at the edge: what is not finite, empty, all alike or absent has a defined answer."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from exp.metrics.classification import TopK
from exp.tasks.fer.metrics import ExpressionScores
from exp.tasks.gait.losses.cosine import cosine_cross_entropy
from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances
from exp.tasks.gait.metrics.casia_b import evaluate
from exp.tasks.lane.metrics.culane import score
from exp.tasks.lane.metrics.tusimple import frame


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ends_the_cell_as_diverged(
    value: float, train: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from exp.tasks.attention.module import Attention

    loss = Attention.loss

    def spoilt(self: Attention, batch: Any) -> tuple[torch.Tensor, int]:
        mean, count = loss(self, batch)
        return (mean * value if self.global_step == 2 else mean), count

    monkeypatch.setattr(Attention, "loss", spoilt)
    status = train()
    assert status["state"] == "diverged"
    assert "at optimizer step 2" in status["error"]
    assert not (status["path"] / "result.json").exists()


def test_exploding_gradients_are_clipped_to_a_finite_step(train: Callable[..., dict[str, Any]]) -> None:
    result = train("optim.lr=10", "optim.clip=0.01", "trainer.max_epochs=1", "optim.warmup=0")
    assert math.isfinite(result["test"]["loss"])


def test_classes_absent_from_the_test_count_for_nothing() -> None:
    logits, labels = torch.eye(10)[:3], torch.tensor([0, 1, 1])
    scores = TopK(10)
    scores.update(logits, labels, torch.ones(3))
    assert scores.compute()["top1"] == pytest.approx(200 / 3)
    faces = ExpressionScores([str(number) for number in range(10)])
    faces.update(logits, labels)
    found = faces.compute()
    assert found["balanced_accuracy"] == pytest.approx(75), (
        "recall of class 0 is 1, of class 1 a half; others have none"
    )
    assert found["macro_f1"] == pytest.approx(100 * (1 + 2 / 3 + 0) / 3), "class 2 was predicted wrongly"
    assert all(math.isfinite(value) for row in faces.details()["by_class"].values() for value in row.values())


def test_nothing_scored_is_no_score() -> None:
    for scores in (TopK(10), ExpressionScores(["happy", "sad"])):
        with pytest.warns(UserWarning, match="before the ``update`` method"):
            assert scores.compute() == {}


def test_embeddings_all_alike_have_finite_losses_gradients_and_scores() -> None:
    labels = torch.arange(3).repeat_interleave(2)
    x = torch.ones(6, 4, 2, requires_grad=True)
    loss = batch_all_triplet(part_distances(x), labels, margin=0.2).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(cosine_cross_entropy(torch.zeros(6, 3, 2), labels, scale=16, smoothing=0.1))
    kinds = ("nm-01", "nm-05", "bg-01", "cl-01")
    rows = [(person, kind, view) for person in ("1", "2") for kind in kinds for view in ("000", "090")]
    ids, types, views = (np.array(column) for column in zip(*rows, strict=True))
    for metric in ("euclidean", "cosine"):
        for features in (np.ones((len(rows), 4, 2), np.float32), np.zeros((len(rows), 4, 2), np.float32)):
            scores = evaluate(features, ids, types, views, metric=metric).scores()
            assert all(math.isfinite(value) for value in scores.values())
            assert scores["nm_r1"] == 50.0, "of equal distances the earlier gallery entry is nearer"


def test_no_lanes_at_all_are_a_score_of_zero() -> None:
    for count in score([], [], (0.5,)):
        assert (count.tp, count.fp, count.fn, count.f1) == (0, 0, 0, 0.0)
    empty = frame([], [], [1.0, 2.0])
    assert (empty.accuracy, empty.fp, empty.fn, empty.f1) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.slow
def test_deterministic_is_the_same_twice(train: Callable[..., dict[str, Any]]) -> None:
    words = ("trainer.deterministic=true", "att=triplet", "trainer.max_epochs=1", "optim.warmup=0")
    try:
        first, again = train(*words), train(*words, anew=True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert first["weights_sha256"] == again["weights_sha256"]
    assert first["attempts"] == again["attempts"] == 1


def test_an_optimizer_steps_images_of_one_pass_batch_norm(train: Callable[..., dict[str, Any]]) -> None:
    result = train("data=where", "data.train=17", "data.held=16", "data.grid=4", "batch_size=16", "data.size=32")
    assert result["samples_seen"] == 2 * 17, "two batches of 9 and 8: no batch of one"

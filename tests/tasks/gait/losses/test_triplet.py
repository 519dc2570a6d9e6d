"""Batch-all triplet loss: exact against pytorch-metric-learning and a brute-force cube, value and gradient."""

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import AvgNonZeroReducer
from torch import Tensor

from exp.tasks.gait.losses.triplet import batch_all_triplet, count_by_sorting, count_in_turn, part_distances

EVEN = torch.arange(5).repeat_interleave(4)
UNEVEN = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 3, 4, 4])


def embeddings(labels: Tensor, scale: float, parts: int = 3) -> Tensor:
    torch.manual_seed(0)
    return (torch.randn(len(labels), 6, parts) * scale).requires_grad_()


def cube(distances: Tensor, labels: Tensor, margin: float, self_positive: bool) -> Tensor:
    """Every (anchor, positive, negative) at once, as the definition reads."""
    same = labels[:, None] == labels
    positive = same if self_positive else same & ~torch.eye(len(labels), dtype=torch.bool)
    terms = (distances[:, :, :, None] - distances[:, :, None, :] + margin).relu()
    terms = terms * (positive[:, :, None] & ~same[:, None, :])
    return (terms.sum((1, 2, 3)) / (terms > 0).sum((1, 2, 3)).clamp(min=1)).mean()


@pytest.mark.parametrize("labels", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("scale", [0.02, 0.3, 2.0])
def test_is_pytorch_metric_learnings(labels: Tensor, scale: float) -> None:
    x = embeddings(labels, scale)
    theirs = TripletMarginLoss(margin=0.2, distance=LpDistance(normalize_embeddings=False), reducer=AvgNonZeroReducer())
    expected = torch.stack([theirs(x[:, :, part], labels) for part in range(x.shape[2])]).mean()
    found = batch_all_triplet(part_distances(x), labels, margin=0.2).loss
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    ours, other = torch.autograd.grad(found, x)[0], torch.autograd.grad(expected, x)[0]
    torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("self_positive", [False, True])
@pytest.mark.parametrize("labels", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("scale", [0.02, 0.3, 2.0])
def test_is_the_cube(labels: Tensor, scale: float, self_positive: bool) -> None:
    distances = part_distances(embeddings(labels, scale)).double().detach().requires_grad_()
    found = batch_all_triplet(distances, labels, margin=0.2, self_positive=self_positive).loss
    expected = cube(distances, labels, 0.2, self_positive)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, distances)[0], torch.autograd.grad(expected, distances)[0])


@pytest.mark.parametrize("self_positive", [False, True])
@pytest.mark.parametrize("labels", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("step", [0.0, 0.1], ids=["as they are", "many ties"])
def test_sorting_counts_the_same(labels: Tensor, step: float, self_positive: bool) -> None:
    distances = part_distances(embeddings(labels, 0.3)).detach()
    distances = distances if step == 0 else (distances / step).round() * step
    same = labels[:, None] == labels
    positive = same if self_positive else same & ~torch.eye(len(labels), dtype=torch.bool)
    counts = count_in_turn(distances, positive, same, 0.2)
    assert counts.max() > 0 > counts.min()
    assert torch.equal(counts, count_by_sorting(distances, positive, same, 0.2))


def test_self_positives_matter_near_collapse_only() -> None:
    near, far = part_distances(embeddings(EVEN, 0.02)), part_distances(embeddings(EVEN, 5.0))
    loss = {
        (name, flag): batch_all_triplet(d, EVEN, margin=0.2, self_positive=flag).loss.item()
        for name, d in (("near", near), ("far", far))
        for flag in (False, True)
    }
    assert loss["near", True] < loss["near", False] - 0.01
    assert loss["far", True] == loss["far", False]


def test_distances_of_equal_walks_have_a_gradient() -> None:
    x = torch.ones(4, 3, 2, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    result = batch_all_triplet(part_distances(x), labels, margin=0.2)
    result.loss.backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert result.loss.item() == pytest.approx(0.2)
    assert result.nonzero.item() == 1
    assert result.mean_distance.item() == 0


def test_no_triplet_gives_no_loss() -> None:
    x = embeddings(EVEN, 1.0)
    result = batch_all_triplet(part_distances(x), torch.zeros(len(EVEN), dtype=torch.long), margin=0.2)
    assert result.loss.item() == 0
    assert result.nonzero.item() == 0


def test_one_loss_over_all_parts_uses_the_mean_distance() -> None:
    distances = part_distances(embeddings(EVEN, 0.5))
    mean = distances.mean(0, keepdim=True)
    torch.testing.assert_close(batch_all_triplet(mean, EVEN, margin=0.2).loss, cube(mean, EVEN, 0.2, False))


def test_counts_and_gradient_are_the_cubes_with_ties_and_lone_persons() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 3])  # 2 and 3 have no positive
    torch.manual_seed(0)
    # Distances in quarters: many positives lie exactly a margin before a negative, where the term is 0 and not counted.
    distances = torch.randint(0, 6, (3, 7, 7), dtype=torch.float64).div_(4).requires_grad_()
    result = batch_all_triplet(distances, labels, margin=0.25)
    expected = cube(distances, labels, 0.25, False)
    torch.testing.assert_close(result.loss, expected, rtol=1e-12, atol=0)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(7, dtype=torch.bool)
    terms = (distances[:, :, :, None] + 0.25 - distances[:, :, None, :]).detach() > 0
    triplets = positive[:, :, None] & ~same[:, None, :]
    assert result.nonzero.item() == pytest.approx(((terms & triplets).sum() / (3 * triplets.sum())).item())
    torch.testing.assert_close(
        torch.autograd.grad(result.loss, distances)[0], torch.autograd.grad(expected, distances)[0]
    )


def test_gradient_of_the_distances() -> None:
    x = embeddings(UNEVEN, 0.5).detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: batch_all_triplet(part_distances(x), UNEVEN, margin=0.2).loss, (x,))


def test_under_autocast_it_is_float32() -> None:
    x = embeddings(EVEN, 0.3)
    plain = batch_all_triplet(part_distances(x), EVEN, margin=0.2).loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = batch_all_triplet(part_distances(x), EVEN, margin=0.2).loss
    assert loss.dtype == torch.float32
    assert torch.equal(loss, plain)
    low = part_distances(x.detach().bfloat16().requires_grad_())
    assert low.dtype == torch.float32


def test_no_cube_is_kept_for_the_backward_pass() -> None:
    people, walks, parts = 16, 8, 4
    labels = torch.arange(people).repeat_interleave(walks)
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        batch_all_triplet(part_distances(embeddings(labels, 0.3, parts)), labels, margin=0.2)
    pairs = 4 * parts * (people * walks) ** 2
    assert sum(kept.values()) < 4 * pairs < 4 * parts * people * walks * (walks - 1) * (people - 1) * walks

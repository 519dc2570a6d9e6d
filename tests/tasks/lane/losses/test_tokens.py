import pytest
import torch
import torch.nn.functional as F

from exp.tasks.lane.losses.cells import cell_lanes
from exp.tasks.lane.losses.tokens import mean_over_images, token_losses


def test_the_hard_target_is_cross_entropy() -> None:
    logits, ids = torch.randn(2, 3, 4, 20), torch.randint(0, 20, (2, 3, 4))
    wanted = F.cross_entropy(logits.flatten(0, 2), ids.flatten(), reduction="none").view(2, 3, 4)
    assert torch.allclose(token_losses(logits, ids, nbins=19), wanted, atol=1e-6)


def test_the_soft_target_is_a_gaussian_cut_at_the_ends() -> None:
    logits = torch.randn(31)
    shares = logits.log_softmax(0)
    for right, low, high in ((0, 0, 0), (1, 1, 20), (10, 1, 20), (20, 1, 20), (21, 21, 30), (30, 21, 30)):
        tokens = torch.arange(31)
        target = torch.exp(-((tokens - right) ** 2) / (2 * 1.5**2))
        target[(tokens < low) | (tokens > high) | ((tokens - right).abs() > 5)] = 0
        wanted = -(target / target.sum() * shares).sum()
        assert token_losses(logits[None], torch.tensor([right]), nbins=20, soft=1.5)[0] == pytest.approx(
            float(wanted), abs=1e-5
        )


def test_images_count_alike_whatever_they_hold() -> None:
    losses = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]], [[9.0, 9.0]]])
    counted = torch.tensor([[[True, True]], [[True, False]], [[False, False]]])
    assert mean_over_images(losses, counted) == pytest.approx((2 + 5 + 0) / 3)


def test_the_lane_of_each_cell() -> None:
    nan = float("nan")
    x = torch.tensor([[[3.0, 9.0, 17.0], [nan, nan, 25.0]], [[nan, nan, nan], [31.9, 0.0, nan]]])
    y = torch.tensor([4.0, 12.0, 13.0])
    assert cell_lanes(x, y, (2, 4), 8).tolist() == [
        [[1, 0, 0, 0], [0, 1, 1, 2]],
        [[0, 0, 0, 2], [2, 0, 0, 0]],
    ]

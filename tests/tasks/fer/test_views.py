"""Views for test-time augmentation."""

import torch

from exp.tasks.fer.views import flip_views, ten_crop_views


def test_flip_shows_an_image_and_its_mirror() -> None:
    images = torch.randn(3, 1, 6, 8)
    views = flip_views(images)
    assert views.shape == (2, 3, 1, 6, 8)
    assert torch.equal(views[0], images)
    assert torch.equal(views[1, :, :, :, 0], images[:, :, :, -1])


def test_ten_crops_are_five_windows_and_their_mirrors() -> None:
    images = torch.zeros(2, 1, 48, 48)
    images[0, 0, :2, :2] = 1.0  # only the window at the top left has this corner
    images[1] = 5.0
    views = ten_crop_views(images)
    assert views.shape == (10, 2, 1, 48, 48)
    assert views[:, 0].amax((1, 2, 3)).gt(0.5).tolist() == [True] + [False] * 4 + [True] + [False] * 4
    assert torch.equal(views[5:], views[:5].flip(-1))
    assert torch.allclose(views[:, 1], torch.full((10, 1, 48, 48), 5.0))


def test_windows_lie_in_the_corners_and_the_centre() -> None:
    rows = torch.arange(48.0).view(1, 1, 48, 1).expand(1, 1, 48, 48)
    means = [round(float(view.mean()), 3) for view in ten_crop_views(rows)[:5]]
    assert means == [21.5, 21.5, 25.5, 25.5, 23.5]

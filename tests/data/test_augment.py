from __future__ import annotations

import itertools
import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from exp.data.augment import (
    Augment,
    CentreCrop,
    ColourJitter,
    Normalize,
    Op,
    RandomCrop,
    RandomErase,
    RandomFlip,
    RandomResizedCrop,
    RandomRotate,
    _cut_anywhere,
    _cut_on_cpu,
)

N = 37


def pixels(shape: tuple[int, ...] = (N, 3, 9, 12), seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("floats", [False, True])
def test_crop_equals_padding_and_cutting_image_by_image(channels: int, floats: bool) -> None:
    images = pixels((N, channels, 9, 12))
    images = images.float() if floats else images
    op = RandomCrop(3)
    draws = op.draw(N, generator())
    assert draws.min() == 0
    assert draws.max() == 6
    done = op(images, draws)
    assert done.dtype == images.dtype
    assert done.is_contiguous()
    for image, (top, left), result in zip(images.numpy(), draws.tolist(), done.numpy(), strict=True):
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)))
        assert np.array_equal(result, padded[:, top : top + 9, left : left + 12])


def test_crop_by_either_way() -> None:
    padded, place = pixels((N, 3, 13, 16)), torch.randint(0, 5, (2, N), generator=generator())
    assert torch.equal(_cut_on_cpu(padded, 9, 12, *place), _cut_anywhere(padded, 9, 12, *place))


def test_crop_reads_other_memory_layouts() -> None:
    images = pixels()
    op = RandomCrop(2)
    draws = op.draw(N, generator())
    assert torch.equal(op(images.contiguous(memory_format=torch.channels_last), draws), op(images, draws))


def test_flip_equals_mirroring_image_by_image() -> None:
    images = pixels()
    op = RandomFlip(0.5)
    draws = op.draw(N, generator())
    assert 0 < draws.sum() < N
    for image, mirrored, result in zip(images.numpy(), draws.tolist(), op(images, draws).numpy(), strict=True):
        assert np.array_equal(result, image[:, :, ::-1] if mirrored[0] else image)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, N)])
def test_flip_certain(probability: float, expected: int) -> None:
    assert RandomFlip(probability).draw(N, generator()).sum() == expected


def test_flip_share() -> None:
    assert RandomFlip(0.3).draw(20_000, generator()).float().mean().item() == pytest.approx(0.3, abs=0.015)


def test_rotate_is_bilinear_interpolation() -> None:
    """Over zeros outside; OpenCV before 5 rounds places to 1/32 pixel, so it is no reference."""
    images = torch.from_numpy(
        np.stack([cv2.GaussianBlur(image, (0, 0), 3) for image in pixels((5, 24, 20)).numpy()])[:, None]
    )
    op = RandomRotate(30)
    draws = op.draw(5, generator())
    rows, columns = np.mgrid[:24, :20] - np.array([11.5, 9.5])[:, None, None]
    for image, (cos, sin), result in zip(images[:, 0].numpy(), draws.tolist(), op(images, draws)[:, 0], strict=True):
        turn = cv2.getRotationMatrix2D((0, 0), -math.degrees(math.atan2(sin, cos)), 1)
        back = cv2.invertAffineTransform(turn)
        x, y = (row[0] * columns + row[1] * rows for row in back)
        expected = ndimage.map_coordinates(np.pad(image.astype(float), 1), [y + 12.5, x + 10.5], order=1)
        assert np.abs(result.numpy() - expected).max() < 2e-3


def test_rotate_by_nothing_and_by_a_quarter() -> None:
    images = pixels((2, 3, 8, 8))
    op = RandomRotate(0)
    assert torch.equal(op(images, torch.tensor([[1.0, 0.0]] * 2)), images.float())
    quarter = op(images, torch.tensor([[0.0, 1.0]] * 2))
    assert torch.allclose(quarter, images.rot90(-1, (2, 3)).float(), atol=1e-3)


def test_rotate_angles() -> None:
    cos, sin = RandomRotate(10).draw(5000, generator()).unbind(1)
    degrees = torch.rad2deg(torch.atan2(sin, cos))
    assert degrees.abs().max() <= 10.001
    assert degrees.abs().max() > 9.9
    assert degrees.mean().abs() < 0.3


def test_erase_blanks_one_rectangle_of_the_drawn_area() -> None:
    images = torch.ones(2000, 2, 30, 40)
    op = RandomErase(0.6, area=(0.1, 0.2))
    done = op(images, op.draw(2000, generator()))
    assert torch.equal(images, torch.ones_like(images))
    assert torch.equal(done[:, 0], done[:, 1])
    blank = done[:, 0] == 0
    changed = blank.flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.6, abs=0.04)
    area = blank[changed].flatten(1).float().mean(1)
    assert area.min() > 0.09
    assert area.max() < 0.22
    for image in blank[changed][:50]:
        rows, columns = image.any(1), image.any(0)
        assert torch.equal(image, rows[:, None] & columns[None])
        for line in (rows, columns):
            assert (line.int().diff() != 0).sum() <= 2
    assert blank.any(0).all()  # every pixel can be reached


def test_erase_is_cut_to_the_image() -> None:
    op = RandomErase(1.0, area=(1.0, 1.0), ratio=(4.0, 4.0))
    done = op(torch.ones(3, 1, 8, 8), op.draw(3, generator()))
    assert (done == 0).sum((1, 2, 3)).tolist() == [32, 32, 32]


def test_normalize() -> None:
    images = pixels()
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.1]
    done = Normalize(mean, std)(images, torch.empty(N, 0))
    expected = (images.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert done.dtype == torch.float32
    assert np.abs(done.numpy() - expected).max() < 1e-5
    assert torch.equal(Normalize(0.5, [0.5] * 3)(images, torch.empty(N, 0)), Normalize(0.5, 0.5)(images, images))
    floats = images.float()
    Normalize(0.5, 0.5)(floats, floats)
    assert torch.equal(floats, images.float())


ALL: dict[str, Any] = {"crop": 2, "flip": 0.5, "rotate": 15.0, "erase": 0.5, "mean": [0.5, 0.4, 0.3], "std": 0.2}


@pytest.mark.parametrize("shape", [(N, 3, 9, 12), (N, 3, 32, 32)])
def test_slices_are_changed_exactly_as_in_the_whole_batch(shape: tuple[int, ...]) -> None:
    images = pixels(shape)
    augment = Augment(**ALL)
    draws = augment.draw(N, generator())
    whole = augment.apply(images, draws)
    for cuts in ((0, 18, N), (0, 1, 13, 30, N), tuple(range(N + 1))):
        parts = [
            augment.apply(images[low:high], [numbers[low:high] for numbers in draws])
            for low, high in itertools.pairwise(cuts)
        ]
        assert torch.equal(torch.cat(parts), whole)


def test_same_generator_same_result_and_images_unchanged() -> None:
    images = pixels()
    augment = Augment(**ALL)
    first, second, third = (augment.apply(images, augment.draw(N, generator(seed))) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(images, pixels())


def test_without_random_changes_it_normalises() -> None:
    images = pixels()
    augment = Augment(mean=0.5, std=0.5)
    assert [type(op) for op in augment.ops] == [Normalize]
    assert torch.allclose(augment.apply(images, augment.draw(N, generator())), images / 127.5 - 1, atol=1e-6)


def test_order_of_steps() -> None:
    ops: list[Op] = Augment(**ALL).ops
    assert [type(op) for op in ops] == [RandomCrop, RandomFlip, RandomRotate, Normalize, RandomErase]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": -1}, "crop=-1: has to be at least 0"),
        ({"flip": 1.5}, "flip=1.5: has to be between 0 and 1"),
        ({"erase": -0.1}, "erase=-0.1: has to be between 0 and 1"),
        ({"rotate": 181}, "rotate=181.0: has to be between 0 and 180"),
        ({"std": 0}, "std=0.0: has to be above 0"),
        ({"mean": [0.1, 0.2], "std": [1, 1, 1]}, "2 channels but std has 3"),
        ({"mean": []}, "has to be a number, or one a channel"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augment(**options)


@pytest.mark.parametrize("area", [(0.3, 0.2), (0.3,), (0.0, 0.5), (0.5, 1.1)])
def test_bad_area_of_what_is_erased(area: Any) -> None:
    with pytest.raises(ValueError, match="area has to be two shares"):
        RandomErase(0.5, area)


def test_in_evaluation_images_are_cut_normalised_and_mirrored_where_asked_for() -> None:
    changes = {
        "resized_crop": 0.5,
        "crop": 2,
        "rotate": 9.0,
        "jitter": 0.2,
        "rand_augment": 5.0,
        "erase": 0.5,
        "flip": 1.0,
    }
    still = Augment(training=False, size=8, **changes)
    assert [type(op) for op in still.ops] == [CentreCrop, Normalize]
    mirrored = Augment(training=False, eval_flip=0.5, **changes)
    assert [type(op) for op in mirrored.ops] == [RandomFlip, Normalize]
    assert [type(op) for op in Augment(eval_flip=0.5).ops] == [Normalize]


def test_other_number_of_channels() -> None:
    augment = Augment(mean=[0.5, 0.4, 0.3])
    with pytest.raises(ValueError, match="3 channels, the images have 1"):
        augment.apply(pixels((2, 1, 4, 4)), augment.draw(2, generator()))


def test_resized_crop_of_the_whole_image_is_the_image() -> None:
    images = torch.randint(0, 256, (3, 3, 9, 9), dtype=torch.uint8)
    whole = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)
    torch.testing.assert_close(RandomResizedCrop(0.1)(images, whole), images.float(), rtol=0, atol=1e-3)


def test_resized_crop_of_a_quarter_enlarges_that_quarter() -> None:
    images = torch.zeros(1, 1, 8, 8)
    images[:, :, :4, 4:] = 100.0  # upper right
    draws = torch.tensor([[0.5, 0.5, -0.5, 0.5]])
    cut = RandomResizedCrop(0.1, 6)(images, draws)
    assert cut.shape == (1, 1, 6, 6)
    assert cut[..., 1:5, 1:5].min() == 100
    assert RandomResizedCrop(0.1, 6)(images, torch.tensor([[0.5, 0.5, 0.5, -0.5]]))[..., 1:5, 1:5].max() == 0


def test_resized_crop_draws_windows_inside_the_image() -> None:
    height, width, y, x = RandomResizedCrop(0.08).draw(5000, torch.Generator().manual_seed(0)).unbind(1)
    assert (y.abs() + height <= 1 + 1e-6).all()
    assert (x.abs() + width <= 1 + 1e-6).all()
    area = height * width
    assert area.min() > 0.07
    assert area.mean().item() == pytest.approx(0.53, abs=0.03)  # sides that would not fit are cut
    inside = (height < 1) & (width < 1)
    assert (height / width)[inside].log().abs().max() < 0.29


def test_centre_crop() -> None:
    images = torch.arange(36).view(1, 1, 6, 6)
    assert CentreCrop(2)(images, torch.empty(1, 0)).flatten().tolist() == [14, 15, 20, 21]


def test_colour_jitter() -> None:
    images = torch.randint(40, 200, (4, 3, 5, 5), dtype=torch.uint8)
    jitter = ColourJitter(0.4)
    torch.testing.assert_close(jitter(images, torch.ones(4, 3)), images.float(), rtol=0, atol=1e-3)
    brighter = jitter(images, torch.tensor([[1.2, 1.0, 1.0]]).expand(4, 3))
    torch.testing.assert_close(brighter, (images.float() * 1.2).clamp(max=255), rtol=0, atol=1e-3)
    flat = jitter(images, torch.tensor([[1.0, 0.0, 1.0]]).expand(4, 3))
    assert flat.std((1, 2, 3)).max() < 1e-3
    grey = jitter(images, torch.tensor([[1.0, 1.0, 0.0]]).expand(4, 3))
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    draws = jitter.draw(2000, torch.Generator().manual_seed(0))
    assert draws.min() >= 0.6
    assert draws.max() <= 1.4
    assert jitter(images[:, :1], draws[:4]).shape == (4, 1, 5, 5)


def test_stored_images_come_out_at_the_size_wanted() -> None:
    images = torch.randint(0, 256, (3, 3, 12, 12), dtype=torch.uint8)
    for augment in (Augment(size=8), Augment(size=8, resized_crop=0.2, jitter=0.1)):
        draws = augment.draw(3, torch.Generator().manual_seed(0))
        assert augment.apply(images, draws).shape == (3, 3, 8, 8)
        assert augment.out_size((12, 12)) == (8, 8)
    assert Augment().out_size((12, 10)) == (12, 10)


@pytest.mark.parametrize("option", ["resized_crop", "jitter"])
def test_shares_beyond_one_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Augment(**{option: 1.5})

"""RandAugment: each change against Pillow's, image by image, and the draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from exp.data.augment import Augment
from exp.data.rand_augment import CHANGES, KINDS, MOVES, SIGNED, RandAugment, _arguments, _moved

N = 12


def pixels(shape: tuple[int, ...] = (N, 3, 21, 30), seed: int = 0) -> Tensor:
    """Smooth pictures that do not use the whole range."""
    small = torch.rand(shape[0], shape[1], 5, 6, generator=torch.Generator().manual_seed(seed)) * 180 + 20
    return torch.nn.functional.interpolate(small, shape[2:], mode="bicubic").clamp(0, 255).to(torch.uint8)


def solarize_add(image: Image.Image, added: float) -> Image.Image:
    return image.point([min(255, value + int(added)) if value < 128 else value for value in range(256)] * 3)


PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda image, value: ImageOps.autocontrast(image),
    "equalize": lambda image, value: ImageOps.equalize(image),
    "invert": lambda image, value: ImageOps.invert(image),
    "posterize": lambda image, value: ImageOps.posterize(image, 8 - int(np.log2(value))),
    "solarize": lambda image, value: ImageOps.solarize(image, int(value)),
    "solarize_add": solarize_add,
    "colour": lambda image, value: ImageEnhance.Color(image).enhance(value),
    "contrast": lambda image, value: ImageEnhance.Contrast(image).enhance(value),
    "brightness": lambda image, value: ImageEnhance.Brightness(image).enhance(value),
    "sharpness": lambda image, value: ImageEnhance.Sharpness(image).enhance(value),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("level", [0.0, 0.35, 0.9, 0.99, -0.9])
def test_changes_are_pillows(name: str, level: float) -> None:
    if level < 0 and name not in SIGNED:
        pytest.skip(f"{name} has one direction")
    images = pixels()
    values = _arguments(name, torch.full((N,), level))[:, :1]
    ours = CHANGES[name](images.float(), values[:, :, None, None]).clamp(0, 255)
    for image, value, result in zip(images, values[:, 0].tolist(), ours, strict=True):
        theirs = np.asarray(PILLOW[name](Image.fromarray(image.permute(1, 2, 0).numpy()), value)).transpose(2, 0, 1)
        assert np.abs(result.numpy() - theirs).max() <= 1.51  # Pillow rounds grey, means and results to whole numbers


def test_ranges_at_magnitude_nine() -> None:
    one = torch.tensor([0.9])
    assert _arguments("posterize", one)[0, 0] == 2**7  # of 8 bits, 4 - int(3.6) are kept
    assert _arguments("solarize", one)[0, 0] == 256 - 230
    assert _arguments("solarize_add", one)[0, 0] == 99
    assert _arguments("colour", -one)[0, 0] == pytest.approx(0.19)
    assert _arguments("shear_x", -one)[0].tolist() == pytest.approx([0, 1, -0.27, 0, 0, 1, 0])
    assert _arguments("translate_y", one)[0].tolist() == pytest.approx([0, 1, 0, 0, 0, 1, 0.405])


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_pillows(name: str) -> None:
    images = pixels(seed=1)
    height, width = images.shape[2:]
    fill = [10.0, 20.0, 30.0]
    maps = _arguments(name, torch.linspace(-0.9, 0.9, N))[:, 1:]
    ours = _moved(images.float(), maps, fill)
    for image, (a, b, c, d, e, f), result in zip(images, maps.tolist(), ours, strict=True):
        # Pillow's maps are about the upper left corner of the image, in pixels with their middle at half numbers.
        x, y = width / 2, height / 2
        data = (a, b, x - a * x - b * y + c * width, d, e, y - d * x - e * y + f * height)
        theirs = Image.fromarray(image.permute(1, 2, 0).numpy()).transform(
            (width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=(10, 20, 30)
        )
        difference = np.abs(result.numpy() - np.asarray(theirs).transpose(2, 0, 1))
        assert np.mean(difference > 1.01) < 0.12  # at the rim Pillow does not blend with the fill


def test_draws() -> None:
    op = RandAugment(9, [128.0])
    drawn = op.draw(4000, torch.Generator().manual_seed(0)).reshape(4000, 2, 8)
    kinds, counts = drawn[:, :, 0].unique(return_counts=True)
    assert kinds.tolist() == list(range(-1, len(KINDS)))
    assert counts[0].item() == pytest.approx(4000, rel=0.05)
    assert (counts[1:] / 4000).tolist() == pytest.approx([1 / 15] * 15, abs=0.02)
    turned = drawn[:, :, 3][drawn[:, :, 0] == KINDS.index("rotate")].asin().rad2deg()
    assert turned.abs().mean().item() == pytest.approx(27, abs=0.3)
    assert turned.abs().std().item() == pytest.approx(1.5, abs=0.3)
    assert turned.mean().abs() < 4


def test_a_share_is_changed_as_in_the_whole_batch() -> None:
    images, op = pixels((64, 3, 12, 10)), RandAugment(9, [1.0, 2.0, 3.0])
    draws = op.draw(64, torch.Generator().manual_seed(3))
    whole = op(images, draws)
    assert whole.dtype == torch.float32
    assert torch.equal(torch.cat([op(images[:23], draws[:23]), op(images[23:], draws[23:])]), whole)
    assert torch.equal(images, pixels((64, 3, 12, 10)))
    changed = (whole != images).flatten(1).any(1)
    assert 0.5 < changed.float().mean() < 0.9
    assert whole.min() >= 0
    assert whole.max() <= 255


def test_grey_images_and_those_of_one_colour() -> None:
    op = RandAugment(10, [7.0], probability=1.0)
    draws = op.draw(300, torch.Generator().manual_seed(1))
    for images in (pixels((300, 1, 9, 9)), torch.full((300, 1, 9, 9), 50, dtype=torch.uint8)):
        assert op(images, draws).isfinite().all()


def test_as_an_option() -> None:
    augment = Augment(rand_augment=9, flip=0.5, mean=[0.5, 0.4, 0.3], std=0.2)
    assert augment.ops[1].fill == pytest.approx([127.5, 102, 76.5])
    images = pixels()
    draws = augment.draw(N, torch.Generator().manual_seed(0))
    assert augment.apply(images, draws).shape == images.shape
    with pytest.raises(ValueError, match="rand_augment=11.0: has to be between 0 and 10"):
        Augment(rand_augment=11)

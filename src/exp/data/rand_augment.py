"""RandAugment (Cubuk, Zoph, Shlens, Le, NeurIPS 2020): a few changes chosen at random, all of one strength.

The fifteen changes and their ranges are those of timm's "increasing" set, with which many ImageNet recipes train
(rand-m9-mstd0.5-inc1): stronger at a larger magnitude, each change made with probability 1/2. Here on whole batches:
the images that drew a change are taken together. Shears are about the centre, interpolation is bilinear.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
_COLUMNS = 8  # of draws a round: kind, value, six of an affine map


class RandAugment:
    """Makes ``rounds`` random changes of each image, on pixels of 0..255.

    Args:
        magnitude: Mean strength, 0..10.
        fill: Colour that moves in at the edges, 0..255, one number or one a channel.
        std: Deviation of the strength from image to image.
        rounds: Changes an image.
        probability: Of a change being made once it is chosen.
    """

    def __init__(
        self, magnitude: float, fill: list[float], *, std: float = 0.5, rounds: int = 2, probability: float = 0.5
    ) -> None:
        self.magnitude = magnitude
        self.fill = fill
        self.std = std
        self.rounds = rounds
        self.probability = probability

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Returns for each round the number of the change (-1 for none), its value and affine map; (n, 8 rounds)."""
        return torch.cat([self._round(n, generator) for _ in range(self.rounds)], dim=1)

    def _round(self, n: int, generator: torch.Generator) -> Tensor:
        kinds = torch.randint(len(KINDS), (n,), generator=generator)
        made = torch.rand(n, generator=generator) < self.probability
        level = (self.magnitude + self.std * torch.randn(n, generator=generator)).clamp(0, 10) / 10
        sign = torch.randint(2, (n,), generator=generator) * 2 - 1
        drawn = torch.zeros(n, _COLUMNS)
        drawn[:, 0] = torch.where(made, kinds, -1)
        for number, name in enumerate(KINDS):
            drawn[kinds == number, 1:] = _arguments(name, (level * sign if name in SIGNED else level)[kinds == number])
        return drawn

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 or float (n, C, H, W) of 0..255 -> float32, not rounded; draws (n, k) are wanted on the CPU."""
        images = images.to(torch.float32, copy=True)
        for drawn in draws.split(_COLUMNS, dim=1):
            for number, name in enumerate(KINDS):
                rows = (drawn[:, 0] == number).nonzero()[:, 0]
                if not len(rows):
                    continue
                values = drawn[rows, 1:].to(images.device, non_blocking=True)
                rows = rows.to(images.device, non_blocking=True)
                changed = (
                    _moved(images[rows], values[:, 1:], self.fill)
                    if name in MOVES
                    else CHANGES[name](images[rows], values[:, 0, None, None, None])
                )
                images[rows] = changed.clamp_(0, 255)
        return images


def _arguments(name: str, level: Tensor) -> Tensor:
    """Returns value and affine map (n, 7) of a change at levels of 0..1, or -1..1 where it has two directions."""
    arguments = torch.tensor([0.0, 1, 0, 0, 0, 1, 0]).repeat(len(level), 1)
    if name == "rotate":
        angle = level * math.radians(30)
        cos, sin = angle.cos(), angle.sin()
        arguments[:, 1], arguments[:, 2], arguments[:, 4], arguments[:, 5] = cos, sin, -sin, cos
    elif name in MOVES:
        place = {"shear_x": 2, "translate_x": 3, "shear_y": 4, "translate_y": 6}[name]
        arguments[:, place] = level * (0.3 if name.startswith("shear") else 0.45)
    elif name == "posterize":
        arguments[:, 0] = 2 ** (4 + (level * 4).floor())  # width of a step of brightness
    elif name == "solarize":
        arguments[:, 0] = 256 - (level * 256).floor()
    elif name == "solarize_add":
        arguments[:, 0] = (level * 110).floor()
    else:
        arguments[:, 0] = (1 + 0.9 * level).clamp(min=0.1)
    return arguments


def _moved(images: Tensor, maps: Tensor, fill: list[float]) -> Tensor:
    """Returns images under affine maps (n, 6) from target to source; shifts in units of the image's sides."""
    height, width = images.shape[-2:]
    y = (torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2)[None, :, None]
    x = (torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2)[None, None, :]
    a, b, c, d, e, f = (maps[:, i, None, None] for i in range(6))
    grid = torch.stack([(a * x + b * y) * (2 / width) + 2 * c, (d * x + e * y) * (2 / height) + 2 * f], dim=-1)
    colour = torch.tensor(fill, device=images.device).view(1, -1, 1, 1)
    return F.grid_sample(images - colour, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + colour


def grey(images: Tensor) -> Tensor:
    """Returns images (n, C, H, W) in grey, (n, 1, H, W), colours weighed as the eye does."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


def _autocontrast(images: Tensor, value: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * (255 / (high - low).clamp(min=1e-6)), images)


def _equalize(images: Tensor, value: Tensor) -> Tensor:
    """Equalises each channel by its own histogram, as Pillow does it, in whole numbers."""
    pixels = images.round().to(torch.int64).flatten(2)
    counts = torch.zeros(*pixels.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, pixels, torch.ones_like(pixels))
    largest = counts.gather(2, pixels.amax(2, keepdim=True))
    step = (pixels.shape[2] - largest) // 255
    table = (step // 2 + counts.cumsum(2) - counts) // step.clamp(min=1)
    equal = table.clamp_(max=255).gather(2, pixels).view_as(images).to(images)
    return torch.where(step[..., None] > 0, equal, images)


def _sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Moves pixels away from (or towards) the mean of the 3x3 neighbours with the middle five times; the rim stays."""
    smooth = images.clone()
    inner = images[:, :, 1:-1, 1:-1]
    smooth[:, :, 1:-1, 1:-1] = (F.avg_pool2d(images, 3, 1) * 9 + 4 * inner) / 13
    return smooth + factor * (images - smooth)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    middle = grey(images).mean((1, 2, 3), keepdim=True)
    return middle + factor * (images - middle)


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": lambda images, value: 255 - images,
    "posterize": lambda images, step: (images.round() / step).floor() * step,
    "solarize": lambda images, threshold: torch.where(images >= threshold, 255 - images, images),
    "solarize_add": lambda images, added: torch.where(images < 128, images + added, images),
    "colour": lambda images, factor: grey(images) + factor * (images - grey(images)),
    "contrast": _contrast,
    "brightness": lambda images, factor: images * factor,
    "sharpness": _sharpness,
}
"""Changes of pixels in place, by a value (n, 1, 1, 1)."""

KINDS = (*CHANGES, *MOVES)
SIGNED = (*MOVES, "colour", "contrast", "brightness", "sharpness")

"""Random changes and normalisation of whole batches, on the device.

Every op has two halves. ``draw`` makes the random numbers of n samples from a CPU generator; calling the op applies
them. The draws of a global batch can therefore be made once and cut for the ranks, and each sample is changed alike
on one device or many.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.options import ImageOptions
from exp.data.rand_augment import RandAugment, grey


class Op(Protocol):
    """One step of an augmentation, on images of 0..255 before ``Normalize`` and of about -1..1 after it."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Random numbers for n samples: (n, k) on the CPU, one row a sample.

        Roots, cosines and the like belong here and not in ``__call__``: their last bit may depend on a sample's place
        in the batch, which differs between one device and many.
        """
        ...

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Applies draws (n, k), on the images' device, to images (n, C, H, W); leaves its arguments unchanged."""
        ...


class RandomCrop:
    """Shifts each image by up to ``padding`` pixels either way, zeros moving in: the usual pad-and-crop.

    Args:
        padding: Zero pixels added on all four sides before a window of the old size is cut out.
    """

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Top and left of the windows, int64 (n, 2), 0..2 * padding."""
        return torch.randint(0, 2 * self.padding + 1, (n, 2), generator=generator)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(n, C, H, W) of any type -> the same."""
        padded = F.pad(images, (self.padding,) * 4)
        cut = _cut_on_cpu if images.device.type == "cpu" else _cut_anywhere
        return cut(padded, images.shape[2], images.shape[3], draws[:, 0], draws[:, 1])


def _cut_anywhere(padded: Tensor, height: int, width: int, top: Tensor, left: Tensor) -> Tensor:
    """One window (C, height, width) of each image of (n, C, H, W), by its top and left, int64 (n,)."""
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(padded), device=padded.device), :, top, left]


def _cut_on_cpu(padded: Tensor, height: int, width: int, top: Tensor, left: Tensor) -> Tensor:
    """The same in a quarter of the time.

    All windows of all images are one overlapping view, numbered by the place of their first pixel in memory; choosing
    some is then a copy along the first axis. Other devices may write such a view out in full, which no memory holds.
    """
    padded = padded.contiguous()
    n, channels, _, row = padded.shape
    plane = padded.stride(1)
    count = padded.numel() - (channels - 1) * plane - (height - 1) * row - width + 1
    windows = padded.as_strided((count, channels, height, width), (1, plane, row, 1))
    return windows.index_select(0, torch.arange(n) * (channels * plane) + top * row + left)


class RandomFlip:
    """Mirrors each image left to right.

    Args:
        probability: Of a mirrored image.
    """

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Whether to mirror, bool (n, 1)."""
        return torch.rand(n, 1, generator=generator) < self.probability

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(n, C, H, W) of any type -> the same."""
        # A choice among 2n whole images: many times faster than ``where`` pixel by pixel on uint8.
        place = torch.arange(len(images), device=images.device) + len(images) * draws[:, 0]
        return torch.cat([images, images.flip(-1)]).index_select(0, place)


class RandomRotate:
    """Turns each image about its centre by a uniform angle, bilinear, zeros moving in.

    Args:
        degrees: Largest angle either way.
    """

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Cosines and sines, float32 (n, 2)."""
        angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(self.degrees)
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 or float (n, C, H, W) -> float32, the values' scale unchanged; positive angles turn clockwise."""
        height, width = images.shape[-2:]
        y = torch.arange(height, device=images.device, dtype=torch.float32) - (height - 1) / 2
        x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
        y, x = y[None, :, None], x[None, None, :]
        cos, sin = draws[:, 0, None, None], draws[:, 1, None, None]
        # grid_sample wants, for each target pixel, its source in units of half the image (align_corners=False).
        grid = torch.stack([(cos * x + sin * y) * (2 / width), (cos * y - sin * x) * (2 / height)], dim=-1)
        return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class RandomErase:
    """Blanks one random rectangle of each chosen image (Zhong et al., 2017, "Random Erasing Data Augmentation").

    The share of the area is uniform, the ratio of height to width uniform in its logarithm. A side that would not fit
    is cut to the image, where the paper's code draws again. Used after ``Normalize``, so that 0 is the mean colour.

    Args:
        probability: Of a changed image.
        area: Smallest and largest share of the image's area.
        ratio: Smallest and largest ratio of the sides.

    Raises:
        ValueError: The area is not two shares in rising order.
    """

    def __init__(
        self, probability: float, area: tuple[float, float] = (0.02, 0.33), ratio: tuple[float, float] = (0.3, 3.3)
    ) -> None:
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f"area has to be two shares 0 < low <= high <= 1, not {area}")
        self.probability = probability
        self.area = area
        self.ratio = ratio

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Height and width of the rectangle in units of sqrt(H * W), its place from 0 to 1 in y and x; (n, 4)."""
        chosen, area, ratio, y, x = torch.rand(n, 5, generator=generator).unbind(1)
        area = self.area[0] + (self.area[1] - self.area[0]) * area
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = (low + (high - low) * ratio).exp()
        chosen = chosen < self.probability
        return torch.stack([(area * ratio).sqrt() * chosen, (area / ratio).sqrt() * chosen, y, x], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(n, C, H, W) of any type -> the same."""
        height, width = images.shape[-2:]
        side = math.sqrt(height * width)
        rows = _between(height, draws[:, 0] * side, draws[:, 2])
        columns = _between(width, draws[:, 1] * side, draws[:, 3])
        keep = ~(rows[:, :, None] & columns[:, None, :])
        return images * keep[:, None].to(images.dtype)  # many times faster than ``masked_fill`` with a broadcast mask


def _between(length: int, extent: Tensor, place: Tensor) -> Tensor:
    """Returns which of ``length`` pixels lie in the stretch of each sample, bool (n, length).

    Args:
        length: Pixels of the image's side.
        extent: (n,), pixels of the stretch; rounded, at least one where above zero, at most all.
        place: (n,), where among its possible places the stretch starts, 0 up to below 1.
    """
    extent = torch.where(extent > 0, extent.round().clamp(1, length), 0.0)
    start = (place * (length - extent + 1)).floor()
    pixel = torch.arange(length, device=extent.device)
    return (pixel >= start[:, None]) & (pixel < (start + extent)[:, None])


class RandomResizedCrop:
    """Cuts a random window out of each image and scales it to one size (Szegedy et al., CVPR 2015), bilinear.

    The window's share of the area is uniform, its ratio of height to width uniform in the logarithm; a side that would
    not fit is cut to the image. A window larger than the result is read at the middle of its pixels, without a filter
    over what lies between.

    Args:
        area: Smallest share of the image's area.
        size: Side of the result; None keeps the images' own.
        ratio: Smallest and largest ratio of the sides.
    """

    def __init__(self, area: float, size: int | None = None, ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> None:
        self.area = area
        self.size = size
        self.ratio = ratio

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Height and width as shares of the image's, and the window's centre from -1 to 1 in y and x; (n, 4)."""
        area, ratio, y, x = torch.rand(n, 4, generator=generator).unbind(1)
        area = self.area + (1 - self.area) * area
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = (low + (high - low) * ratio).exp()
        height, width = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        return torch.stack([height, width, (2 * y - 1) * (1 - height), (2 * x - 1) * (1 - width)], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 or float (n, C, H, W) -> float32 (n, C, size, size), the values' scale unchanged."""
        rows, columns = (self.size, self.size) if self.size else images.shape[-2:]
        down = (torch.arange(rows, device=images.device) * 2 + 1) / rows - 1
        across = (torch.arange(columns, device=images.device) * 2 + 1) / columns - 1
        height, width, y, x = (draws[:, i, None, None].to(torch.float32) for i in range(4))
        ys = (down[None, :, None] * height + y).expand(-1, rows, columns)
        xs = (across[None, None, :] * width + x).expand(-1, rows, columns)
        grid = torch.stack([xs, ys], dim=-1)
        return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


class CentreCrop:
    """Cuts out the middle square; takes no random numbers.

    Args:
        size: Side of the result, at most the images'.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Nothing, (n, 0)."""
        return torch.empty(n, 0)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """(n, C, H, W) of any type -> (n, C, size, size)."""
        top, left = (images.shape[2] - self.size) // 2, (images.shape[3] - self.size) // 2
        return images[:, :, top : top + self.size, left : left + self.size]


class ColourJitter:
    """Changes brightness, contrast and saturation of each image by factors in 1 - strength .. 1 + strength.

    In this order, each cut to 0..255. Contrast is about the image's mean grey; grey images have no saturation.

    Args:
        strength: Largest change of each factor, at most 1.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Factors of brightness, contrast and saturation, (n, 3)."""
        return 1 + (torch.rand(n, 3, generator=generator) * 2 - 1) * self.strength

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 or float (n, C, H, W) of 0..255 -> float32."""
        brightness, contrast, saturation = (draws[:, i, None, None, None] for i in range(3))
        images = (images.float() * brightness).clamp_(0, 255)
        middle = grey(images).mean((2, 3), keepdim=True)
        images = ((images - middle) * contrast + middle).clamp_(0, 255)
        if images.shape[1] != 3:
            return images
        colourless = grey(images)
        return ((images - colourless) * saturation + colourless).clamp_(0, 255)


class Normalize:
    """(pixel / 255 - mean) / std, channel by channel; takes no random numbers.

    Args:
        mean: Of all channels, or one a channel, on the scale 0..1.
        std: Likewise.

    Raises:
        ValueError: There is no number, the numbers of channels differ, or a deviation is not above 0.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        means, stds = _channels(mean), _channels(std)
        if len(means) != len(stds) and 1 not in (len(means), len(stds)):
            raise ValueError(f"mean has {len(means)} channels but std has {len(stds)}")
        if min(stds) <= 0:
            raise ValueError(f"std must be above 0, not {std}")
        count = max(len(means), len(stds))
        means, stds = means * (count // len(means)), stds * (count // len(stds))
        self._channels = count
        self._scale = torch.tensor([1 / (255 * s) for s in stds], dtype=torch.float32).view(1, -1, 1, 1)
        self._shift = torch.tensor([-m / s for m, s in zip(means, stds, strict=True)]).view(1, -1, 1, 1)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Nothing, (n, 0)."""
        return torch.empty(n, 0)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 or float (n, C, H, W) of 0..255 -> float32.

        Raises:
            ValueError: C is not the number of means given (one mean serves any C).
        """
        if self._channels not in (1, images.shape[1]):
            raise ValueError(f"mean and std are for {self._channels} channels, the images have {images.shape[1]}")
        if self._scale.device != images.device:  # once a device, not once a batch
            self._scale, self._shift = self._scale.to(images.device), self._shift.to(images.device)
        return images.to(torch.float32, copy=True).mul_(self._scale).add_(self._shift)


class Augment:
    """The whole way from uint8 pixels to what a network takes.

    Order: resized or centre crop, crop, flip, rotate, jitter, RandAugment, normalise, erase. Normalisation always
    happens.

    Args:
        options: See ``ImageOptions``.
        training: Whether images are changed at random; otherwise they are only normalised, cut and, with
            ``eval_flip``, mirrored.
        size: Side of the result where the images are stored larger; None keeps their own. Without a resized crop, the
            middle is cut out.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: An option is out of bounds.
    """

    def __init__(
        self, options: ImageOptions | None = None, *, training: bool = True, size: int | None = None, **given: Any
    ) -> None:
        options = ImageOptions.of(options, given)
        self.size = size
        self.normalize = Normalize(options.mean, options.std)
        self.ops: list[Op] = []
        if training and options.resized_crop:
            self.ops.append(RandomResizedCrop(options.resized_crop, size))
        elif size is not None:
            self.ops.append(CentreCrop(size))
        if training and options.crop:
            self.ops.append(RandomCrop(options.crop))
        flip = options.flip if training else options.eval_flip
        if flip:
            self.ops.append(RandomFlip(flip))
        if training and options.rotate:
            self.ops.append(RandomRotate(options.rotate))
        if training and options.jitter:
            self.ops.append(ColourJitter(options.jitter))
        if training and options.rand_augment:
            self.ops.append(RandAugment(options.rand_augment, [255 * value for value in _channels(options.mean)]))
        self.ops.append(self.normalize)
        if training and options.erase:
            self.ops.append(RandomErase(options.erase))

    def out_size(self, stored: Sequence[int]) -> tuple[int, int]:
        """Returns height and width of the result, given those of the stored images."""
        return (stored[0], stored[1]) if self.size is None else (self.size, self.size)

    def draw(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """Returns random numbers of n samples: one (n, k) tensor an op, so that rows can be cut for a rank."""
        return [op.draw(n, generator) for op in self.ops]

    def apply(self, images: Tensor, draws: Sequence[Tensor]) -> Tensor:
        """Applies the draws.

        Args:
            images: uint8 (n, C, H, W), unchanged afterwards.
            draws: What ``draw`` made for these samples.

        Returns:
            float32 (n, C, H, W) on the images' device.
        """
        for op, numbers in zip(self.ops, draws, strict=True):
            # RandAugment chooses rows on the CPU, so that a GPU need not be waited for.
            here = isinstance(op, RandAugment)
            images = op(images, numbers if here else numbers.to(images.device, non_blocking=True))
        return images


def _channels(value: float | Sequence[float]) -> list[float]:
    values = [float(value)] if isinstance(value, (int, float)) else [float(v) for v in value]
    if not values:
        raise ValueError("mean and std need at least one number")
    return values

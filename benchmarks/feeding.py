"""Batches of an image set in memory, changed at random and normalised, against pictures of Pillow in a DataLoader.

``python benchmarks/feeding.py`` feeds one epoch of faces of 48 pixels (crop, flip, turn, erase) and of colour images of
32 pixels (crop, flip), as templates do it and as exp does. Without random changes both have to give the same numbers;
with them the same mean and deviation to a percent. ``template`` is what the training benchmark feeds its twin with.
"""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from exp.data.augment import Augment
from exp.data.batches import Batches
from exp.data.source import Split
from measure import Row, compared, main

FACES = {"crop": 4, "flip": 0.5, "rotate": 10.0, "erase": 0.25, "mean": 0.5, "std": 0.25}
COLOURS = {"crop": 4, "flip": 0.5, "mean": [0.49, 0.48, 0.45], "std": [0.25, 0.24, 0.26]}
BATCH = 64


class Pictures(Dataset):
    """Images one by one, each a picture of Pillow that is changed, made a tensor and normalised.

    Args:
        images: uint8 (N, C, H, W).
        labels: (N,).
        how: Options of ``Augment``; those left out change nothing.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, how: dict) -> None:
        self.images = [Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in images]
        self.labels, self.how = labels, how
        self.draws = np.random.default_rng(0)
        self.mean, self.std = (torch.tensor(how[name]).view(-1, 1, 1) for name in ("mean", "std"))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        image, how = self.images[place], self.how
        if pad := how.get("crop"):
            left, top = self.draws.integers(0, 2 * pad + 1, 2)
            width, height = image.size
            image = ImageOps.expand(image, pad).crop((left, top, left + width, top + height))
        if self.draws.random() < how.get("flip", 0):
            image = ImageOps.mirror(image)
        if degrees := how.get("rotate"):
            image = image.rotate(self.draws.uniform(-degrees, degrees), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, -1).permute(2, 0, 1)
        x = (pixels.float() / 255 - self.mean) / self.std
        if self.draws.random() < how.get("erase", 0):
            side = np.sqrt(self.draws.uniform(0.02, 0.33))
            ratio = np.exp(self.draws.uniform(np.log(0.3), np.log(3.3)) / 2)
            high, wide = (
                min(size, round(size * side * by)) for size, by in zip(x.shape[1:], (ratio, 1 / ratio), strict=True)
            )
            top, left = self.draws.integers(0, x.shape[1] - high + 1), self.draws.integers(0, x.shape[2] - wide + 1)
            x[:, top : top + high, left : left + wide] = 0
        return x, int(self.labels[place])


def template(images: np.ndarray, labels: np.ndarray, how: dict, *, shuffle: bool = True) -> DataLoader:
    """Returns the loader of a template."""
    return DataLoader(Pictures(images, labels, how), batch_size=BATCH, shuffle=shuffle)


def ours(images: np.ndarray, labels: np.ndarray, how: dict, *, shuffle: bool = True) -> Batches:
    """Returns exp's loader."""
    augment = Augment(training=True, **how)
    return Batches(Split(images, labels), batch_size=BATCH, shuffle=shuffle, seed=0, device="cpu", augment=augment)


def rows() -> Iterator[Row]:
    """Measures."""
    draws = np.random.default_rng(0)
    for name, channels, size, how, limit in (("48 px faces", 1, 48, FACES, 3.3), ("32 px colour", 3, 32, COLOURS, 6.0)):
        images = draws.integers(0, 256, (2048, channels, size, size), dtype=np.uint8)
        labels = np.zeros(len(images), dtype=np.int64)
        still = {key: how[key] for key in ("mean", "std")}
        plain = [
            torch.cat([batch.images for batch in ours(images, labels, still, shuffle=False)]),
            torch.cat([x for x, _ in template(images, labels, still, shuffle=False)]),
        ]
        changed = [
            torch.cat([batch.images for batch in ours(images, labels, how)]),
            torch.cat([x for x, _ in template(images, labels, how)]),
        ]
        equal = torch.allclose(*plain, atol=1e-5) and abs(changed[0].std() / changed[1].std() - 1).item() < 0.02
        loaders = ours(images, labels, how), template(images, labels, how)

        def feed(loader: object) -> None:
            for _ in loader:  # type: ignore[attr-defined]
                pass

        yield compared(
            f"an epoch's batches, {name}",
            "pictures of Pillow in a DataLoader",
            lambda: feed(loaders[0]),  # noqa: B023
            lambda: feed(loaders[1]),  # noqa: B023
            round(1 / limit, 3),
            equal,
            3,
        )


if __name__ == "__main__":
    main(rows, __doc__)

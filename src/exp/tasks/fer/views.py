"""Views of an image for test-time augmentation."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

CROP = 44
"""Side of a ten-crop window out of 48 pixels, as the FER2013 references take it; scaled with the image."""


def flip_views(images: Tensor) -> Tensor:
    """Returns each of the images (n, C, H, W) as it is and mirrored, (2, n, C, H, W)."""
    return torch.stack([images, images.flip(-1)])


def ten_crop_views(images: Tensor) -> Tensor:
    """Returns ten crops of each of the images (n, C, H, W), resized to H and W, (10, n, C, H, W).

    Four corners and the centre, windows of 44/48 of the side, then the same five mirrored.
    """
    height, width = images.shape[-2:]
    tall, wide = height * CROP // 48, width * CROP // 48
    places = [(0, 0), (0, width - wide), (height - tall, 0), (height - tall, width - wide)]
    places.append(((height - tall) // 2, (width - wide) // 2))
    windows = [images[:, :, top : top + tall, left : left + wide] for top, left in places]
    resized = [F.interpolate(part, (height, width), mode="bilinear", align_corners=False) for part in windows]
    both = flip_views(rearrange(torch.stack(resized), "crops n c h w -> (crops n) c h w"))
    return rearrange(both, "flips (crops n) c h w -> (flips crops) n c h w", crops=len(resized))


VIEWS = {"flip": flip_views, "ten_crop": ten_crop_views}
"""Test-time augmentations by name."""

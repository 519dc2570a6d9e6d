"""Cross-entropy over lane tokens with a hard target or one spread over neighbouring bins, and its mean over images."""

import math

import torch
from torch import Tensor


def token_losses(logits: Tensor, ids: Tensor, *, nbins: int, soft: float = 0.0) -> Tensor:
    """Returns the cross-entropy of each row, float32 (...).

    With ``soft`` the target is a Gaussian over the tokens around the right one, cut where bins or differences end
    (their order means distance; token 0, no point, stays hard).

    Args:
        logits: (..., V).
        ids: int64 (...) right tokens; 0 is no point, 1 .. nbins are bins, the rest differences.
        nbins: Number of bins.
        soft: The Gaussian's deviation in bins; 0 for the hard target.
    """
    log_shares = logits.float().log_softmax(-1)
    if soft == 0:
        return -log_shares.gather(-1, ids[..., None])[..., 0]
    reach = math.ceil(3 * soft)
    offsets = torch.arange(-reach, reach + 1, device=ids.device)
    near = ids[..., None] + offsets
    low = torch.where(ids == 0, 0, torch.where(ids <= nbins, 1, nbins + 1))[..., None]
    high = torch.where(ids == 0, 0, torch.where(ids <= nbins, nbins, logits.shape[-1] - 1))[..., None]
    weights = torch.exp(-(offsets**2) / (2 * soft**2)) * ((near >= low) & (near <= high))
    weights = weights / weights.sum(-1, keepdim=True)
    return -(weights * log_shares.gather(-1, near.clamp(0, logits.shape[-1] - 1))).sum(-1)


def mean_over_images(losses: Tensor, counted: Tensor) -> Tensor:
    """Returns the mean over images of the mean over each image's counted rows; an image without any counts as 0.

    Args:
        losses: (B, ...), one value a row.
        counted: bool of the same shape, whether the row counts.
    """
    losses, weights = losses.flatten(1), counted.flatten(1).to(losses.dtype)
    return ((losses * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()

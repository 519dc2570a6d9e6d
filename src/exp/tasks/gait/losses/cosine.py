"""Label-smoothed cross-entropy on cosine logits, all parts at once."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_cross_entropy(logits: Tensor, labels: Tensor, *, scale: float, smoothing: float) -> Tensor:
    """Returns the mean cross-entropy over walks and parts, ().

    Args:
        logits: (n, classes, p), cosines between embedding and class vector, part by part.
        labels: (n,) class numbers.
        scale: Factor of the cosines before the softmax.
        smoothing: Probability mass spread over all classes.
    """
    with torch.autocast(logits.device.type, enabled=False):
        target = labels[:, None].expand(-1, logits.shape[2])
        return F.cross_entropy(logits.float() * scale, target, label_smoothing=smoothing)

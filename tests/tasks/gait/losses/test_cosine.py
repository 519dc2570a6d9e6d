"""Cosine cross-entropy against torch's own, part by part."""

import torch
import torch.nn.functional as F

from exp.tasks.gait.losses.cosine import cosine_cross_entropy


def test_is_torchs_cross_entropy_of_every_part() -> None:
    torch.manual_seed(0)
    logits = torch.rand(7, 5, 3) * 2 - 1
    labels = torch.randint(0, 5, (7,))
    expected = torch.stack(
        [F.cross_entropy(16 * logits[:, :, part], labels, label_smoothing=0.1) for part in range(3)]
    ).mean()
    torch.testing.assert_close(cosine_cross_entropy(logits, labels, scale=16.0, smoothing=0.1), expected)
    assert cosine_cross_entropy(logits, labels, scale=16.0, smoothing=0.0) != expected

"""Top-1, top-5 and loss, summed on the device and read once at the end."""

import torch
from torch import Tensor

from exp.metrics.confusion import confusion

CONFUSION_UP_TO = 100
"""Number of classes up to which pairs of label and prediction are counted."""


class TopK:
    """Counts of a classifier's hits.

    Args:
        device: Where the sums are kept.
        num_classes: Classes of the data set; with five or fewer, top-5 is always 1.
    """

    def __init__(self, device: torch.device, num_classes: int) -> None:
        self.num_classes = num_classes if num_classes <= CONFUSION_UP_TO else 0
        self.sums = torch.zeros(4 + self.num_classes**2, dtype=torch.float64, device=device)
        self.k = min(5, num_classes)

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (n, outputs).
            labels: (n,) class numbers.
            losses: (n,) loss of each sample.
        """
        first = logits.topk(self.k, dim=1).indices
        hits = first == labels[:, None]
        self.sums[:4] += torch.stack(
            [hits[:, 0].sum(), hits.sum(), losses.double().sum(), torch.full((), len(labels), device=labels.device)]
        ).double()
        if self.num_classes:
            known = (first[:, 0] < self.num_classes).double()
            predicted = first[:, 0].clamp(max=self.num_classes - 1)
            self.sums[4:] += confusion(labels, predicted, self.num_classes, weights=known).flatten()

    def compute(self) -> dict[str, float]:
        """Returns ``top1`` and ``top5`` in percent and the mean ``loss``; nothing where nothing was counted."""
        top1, top5, loss, count = self.sums[:4].tolist()
        return {} if count == 0 else {"top1": 100 * top1 / count, "top5": 100 * top5 / count, "loss": loss / count}

    def confusion(self) -> list[list[int]]:
        """Returns counts by label (row) and prediction (column); empty with more than 100 classes.

        Predictions of outputs that are no class of the data set are left out.
        """
        return self.sums[4:].view(self.num_classes, self.num_classes).long().tolist() if self.num_classes else []

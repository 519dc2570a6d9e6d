"""Top-1, top-5 and loss, summed on the device and read once at the end."""

import torch
from torch import Tensor


class TopK:
    """Counts of a classifier's hits.

    Args:
        device: Where the sums are kept.
        num_classes: Classes of the data set; with five or fewer, top-5 is always 1.
    """

    def __init__(self, device: torch.device, num_classes: int) -> None:
        self.sums = torch.zeros(4, dtype=torch.float64, device=device)
        self.k = min(5, num_classes)

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (n, outputs).
            labels: (n,) class numbers.
            losses: (n,) loss of each sample.
        """
        hits = logits.topk(self.k, dim=1).indices == labels[:, None]
        self.sums += torch.stack(
            [hits[:, 0].sum(), hits.sum(), losses.double().sum(), torch.full((), len(labels), device=labels.device)]
        ).double()

    def compute(self) -> dict[str, float]:
        """``top1`` and ``top5`` in percent and the mean ``loss``; empty where nothing was counted."""
        top1, top5, loss, count = self.sums.tolist()
        return {} if count == 0 else {"top1": 100 * top1 / count, "top5": 100 * top5 / count, "loss": loss / count}

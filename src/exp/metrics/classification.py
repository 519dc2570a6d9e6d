"""Top-1, top-5, loss and confusion matrix of a classifier, counted by torchmetrics."""

from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassStatScores
from torchmetrics.wrappers.abstract import WrapperMetric

from exp.metrics.calibration import Sum

CONFUSION_UP_TO = 100
"""Number of classes up to which pairs of label and prediction are counted."""
IGNORED = -1
"""Label of what a count leaves out."""


class Composed(WrapperMetric):
    """A metric made of others: its children are moved, synchronised, pickled and reset one by one."""

    def reset(self) -> None:
        """Empties all of them."""
        super().reset()
        for child in self.children():
            child.reset()  # type: ignore[operator]


class TopK(Composed):
    """Top-1 and top-5 accuracy, mean loss and confusion matrix of a classifier.

    Counts are torchmetrics'; quotients are taken in float64, where torchmetrics would take them in float32.

    Args:
        num_classes: Classes of the data set; with five or fewer, top-5 is always 100. Up to 100 classes, pairs of label
            and prediction are counted too.
        outputs: Logits of the network, ``num_classes`` where not given. An output that is no class of the data set, as
            most of a 1000-way head on 100 classes, is a miss where it is the largest, and in no column of the matrix.

    Example:
        >>> from torch import tensor
        >>> metric = TopK(num_classes=3)
        >>> metric.update(tensor([[0.1, 2.0, 0.3], [0.9, 0.1, 0.2]]), tensor([1, 2]), tensor([0.3, 1.3]))
        >>> {name: round(value, 3) for name, value in metric.compute().items()}
        {'top1': 50.0, 'top5': 100.0, 'loss': 0.8}
        >>> metric.confusion()
        [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    """

    full_state_update = False

    def __init__(self, num_classes: int, outputs: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.k = min(5, num_classes)
        classes = outputs or num_classes
        self.top1 = MulticlassStatScores(classes, average="micro", validate_args=False)
        self.top5 = MulticlassStatScores(classes, top_k=self.k, average="micro", validate_args=False)
        self.matrix = None
        if num_classes <= CONFUSION_UP_TO:
            self.matrix = MulticlassConfusionMatrix(num_classes, ignore_index=IGNORED, validate_args=False)
        self.loss = Sum()

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (n, outputs).
            labels: int64 (n,) class numbers.
            losses: (n,) loss of each sample.
        """
        first = logits.topk(self.k, dim=1).indices[:, 0]
        self.top1.update(first, labels)
        self.top5.update(logits if self.k > 1 else first, labels)
        self.loss.update(losses.double())
        if self.matrix is not None:
            known = first < self.num_classes
            self.matrix.update(first.where(known, 0), labels.where(known, IGNORED))

    def compute(self) -> dict[str, float]:
        """Returns ``top1`` and ``top5`` in percent and the mean ``loss``; nothing where nothing was counted."""
        self.confusion()  # added up over the ranks now, while all of them are here
        hits1, count = (int(value) for value in self.top1.compute()[[0, 4]])
        hits5, losses = int(self.top5.compute()[0]), float(self.loss.compute())
        return {} if count == 0 else {"top1": 100 * hits1 / count, "top5": 100 * hits5 / count, "loss": losses / count}

    def confusion(self) -> list[list[int]]:
        """Returns counts by label (row) and prediction (column); empty with more than 100 classes.

        After ``compute`` a single rank may ask for them.
        """
        return [] if self.matrix is None else self.matrix.compute().tolist()

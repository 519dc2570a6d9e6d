"""The expected calibration error in percent, and sums, in float64."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassCalibrationError

_BELOW_ONE = 1 - 2**-24
"""The largest float32 below 1."""


class InFloat64(Metric):
    """Remembers that a metric is in float64; torchmetrics forgets what ``set_dtype`` said when the metric is moved."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the states."""
        return torch.float64


class Sum(InFloat64, SumMetric):
    """torchmetrics' sum in float64. It does not look for NaN, for which it would wait for the device."""

    def __init__(self) -> None:
        super().__init__(nan_strategy="disable")
        self.set_dtype(torch.float64)


class CalibrationError(InFloat64, MulticlassCalibrationError):
    """torchmetrics' calibration error (Guo et al., ICML 2017, eq. 5) in percent, in float64, with 1 in the last bin.

    torchmetrics sums confidences in float32, and gives confidences of exactly 1 a bin of their own, so that an error of
    one of the two cannot cancel that of the other.

    Args:
        num_classes: Number of classes.
        n_bins: Bins of equal width.
        kwargs: See ``torchmetrics.Metric``.

    Example:
        >>> from torch import tensor
        >>> metric = CalibrationError(num_classes=3, n_bins=3)
        >>> metric.update(tensor([[0.1, 0.2, 0.7], [0.1, 0.3, 0.6]]), tensor([2, 1]))
        >>> round(float(metric.compute()), 3)
        45.0
    """

    plot_upper_bound = 100.0

    def __init__(self, num_classes: int, n_bins: int = 15, **kwargs: Any) -> None:
        super().__init__(num_classes, n_bins, validate_args=False, **kwargs)
        self.set_dtype(torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            preds: (n, classes) probabilities.
            target: int64 (n,) class numbers.
        """
        super().update(preds.clamp(max=_BELOW_ONE), target)
        for states in (self.confidences, self.accuracies):
            states[-1] = states[-1].double()

    def compute(self) -> Tensor:
        """Returns the error in percent, float64 ()."""
        return 100 * super().compute()

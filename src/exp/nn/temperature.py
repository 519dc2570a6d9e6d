"""A temperature that divides logits, fixed or learned.

Source: 003_9e75db76f5a1d95d.txt (section A2). Learned, it is softplus(t) + eps, so that it stays positive. The inverse
of softplus that gives the starting value is log(exp(T) - 1) in the source, which overflows in float32 from T = 89 on:
the temperature becomes infinite and the gate is frozen at 0.5. T + log(1 - exp(-T)) is the same and does not.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.nn.checks import acts_only, one_of

INVERSES = ("published", "stable")
_EPS = 1e-6


def softplus_inverse(value: float, how: str) -> Tensor:
    """The t of softplus(t) = value; how is `published` (overflows at 89) or `stable`."""
    y = torch.tensor(float(value))
    if how == "published":
        return torch.log(torch.clamp(torch.exp(y) - 1.0, min=_EPS))
    return y + torch.log(-torch.expm1(-y))


class Temperature(nn.Module):
    """Divides by a temperature.

    Args:
        start: The temperature at the start, above 0.
        learnable: Whether it is a parameter (one number).
        inverse: How a learned one is initialised: published or stable.
        where: Name of the block, for error messages.

    Raises:
        ValueError: For a start that is not positive, an unknown inverse, or one that nothing reads.
    """

    def __init__(self, start: float, *, learnable: bool, inverse: str, where: str) -> None:
        super().__init__()
        if not (start > 0 and math.isfinite(start)):
            raise ValueError(f"{where}: temperature={start!r} must be above 0")
        one_of(where, "temperature_inverse", inverse, INVERSES)
        acts_only(where, "temperature_inverse", inverse, "published", learnable, "learnable_temperature=True")
        self.learnable = learnable
        self.fixed: Tensor
        if learnable:
            self.raw = nn.Parameter(softplus_inverse(start, inverse))
        else:
            self.register_buffer("fixed", torch.tensor(float(start)))

    def value(self) -> Tensor:
        """The temperature, a scalar."""
        return F.softplus(self.raw) + _EPS if self.learnable else self.fixed

    def forward(self, logits: Tensor) -> Tensor:
        return logits / self.value()

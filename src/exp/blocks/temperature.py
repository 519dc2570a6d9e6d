"""A temperature that divides logits, fixed or learned.

Source: 003_9e75db76f5a1d95d.txt (section A2). A learned one is softplus(t) + eps, so that it stays positive. The
inverse of softplus that gives the starting value is log(exp(T) - 1) in the source, which overflows in float32 from
T = 89 on: the temperature becomes infinite and the gate is frozen at 0.5. T + log(1 - exp(-T)) is equal and does not
overflow.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Inverse = Literal["published", "stable"]
_EPS = 1e-6


def softplus_inverse(value: float, how: Inverse) -> Tensor:
    """Returns the t of softplus(t) = value, a scalar; ``published`` overflows from 89 on, ``stable`` does not."""
    y = torch.tensor(float(value))
    if how == "published":
        return torch.log(torch.clamp(torch.exp(y) - 1.0, min=_EPS))
    return y + torch.log(-torch.expm1(-y))


class Temperature(nn.Module):
    """Divides logits of any shape by a temperature.

    Args:
        start: The temperature at the start, above 0.
        learnable: Whether it is a parameter (one number).
        inverse: How a learned one is initialised.
    """

    def __init__(self, start: float, *, learnable: bool, inverse: Inverse) -> None:
        super().__init__()
        self.learnable = learnable
        self.fixed: Tensor
        if learnable:
            self.raw = nn.Parameter(softplus_inverse(start, inverse))
        else:
            self.register_buffer("fixed", torch.tensor(float(start)))

    def value(self) -> Tensor:
        """Returns the temperature, a scalar."""
        return F.softplus(self.raw) + _EPS if self.learnable else self.fixed

    def forward(self, logits: Tensor) -> Tensor:
        return logits / self.value()

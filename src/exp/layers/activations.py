"""Activations and gates by name.

A gate is the last non-linearity of an attention map, the one whose output multiplies the features. Gates are modules so
that a forward hook can read the map.
"""

import torch
from torch import Tensor, nn


def make_activation(name: str, *, negative_slope: float = 0.01, alpha: float = 1.0) -> nn.Module:
    """Returns the activation called ``name``; ``none`` passes its input on.

    Args:
        name: none, sigmoid, tanh, relu, gelu, leaky_relu, elu, celu, hard_swish or silu.
        negative_slope: Slope of leaky_relu below zero, which alone reads it.
        alpha: Scale of elu and celu below zero, which alone read it.

    Raises:
        ValueError: The name is not known.
    """
    match name:
        case "none":
            return nn.Identity()
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "gelu":
            return nn.GELU()
        case "leaky_relu":
            return nn.LeakyReLU(negative_slope)
        case "elu":
            return nn.ELU(alpha)
        case "celu":
            return nn.CELU(alpha)
        case "hard_swish":
            return nn.Hardswish()
        case "silu":
            return nn.SiLU()
        case _:
            raise ValueError(f"activation={name}: no such activation")


class SoftmaxMap(nn.Module):
    """Softmax over all positions of each sample's map (B, 1, H, W), times their number: mean 1, at most that number."""

    def forward(self, logit: Tensor) -> Tensor:
        flat = logit.flatten(1)
        return (flat.softmax(1) * flat.shape[1]).view_as(logit)


class SoftmaxBatch(nn.Module):
    """Softmax over the batch axis, the flaw of 004_19b35580bfaac8c6.txt (``nn.Softmax(dim=0)``), kept runnable.

    For a batch of one it is the constant 1, for a batch of N it averages 1/N, and a sample's output depends on the
    other samples of its batch.
    """

    def forward(self, logit: Tensor) -> Tensor:
        return torch.softmax(logit, 0)


def make_gate(name: str) -> nn.Module:
    """Returns the gate called ``name``; ``none`` passes the logits on, for a block that gates several maps together.

    Args:
        name: none, sigmoid, tanh, hard_sigmoid, softmax_map or softmax_batch.

    Raises:
        ValueError: The name is not known.
    """
    match name:
        case "none":
            return nn.Identity()
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "hard_sigmoid":
            return nn.Hardsigmoid()
        case "softmax_map":
            return SoftmaxMap()
        case "softmax_batch":
            return SoftmaxBatch()
        case _:
            raise ValueError(f"gate={name}: no such gate")

"""Activations and gates by name.

A gate is the last non-linearity of an attention map, the one whose output multiplies the features. Gates are modules so
that a forward hook can read the map.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from exp.nn.checks import one_of

# The eight that stand between BatchNorm and gate in the ablations of 004_19b35580bfaac8c6.txt ("none" is official).
PRE_GATE_ACTIVATIONS = ("none", "sigmoid", "tanh", "relu", "gelu", "leaky_relu", "elu", "celu")
ACTIVATIONS = (*PRE_GATE_ACTIVATIONS, "hard_swish", "silu")
GATES = ("sigmoid", "tanh", "hard_sigmoid")


def make_activation(
    name: str,
    *,
    where: str,
    allowed: Collection[str] = ACTIVATIONS,
    negative_slope: float = 0.01,
    alpha: float = 1.0,
) -> nn.Module:
    """Builds the activation `name`.

    Args:
        name: One of `allowed`.
        where: Name of the block, for the error message.
        allowed: The names this block accepts.
        negative_slope: Slope of leaky_relu below zero; read by leaky_relu only.
        alpha: Scale of elu and celu below zero, > 0; read by those two only.

    Raises:
        ValueError: Unknown name, or alpha <= 0 for elu and celu.
    """
    one_of(where, "activation", name, allowed)
    if name in ("elu", "celu") and not alpha > 0:
        raise ValueError(f"{where}: alpha={alpha!r} must be > 0")
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
            raise ValueError(f"{where}: activation={name!r} has no implementation")


class SoftmaxMap(nn.Module):
    """Softmax over all positions of one sample's map, times their number: mean 1, peaks up to that number."""

    def forward(self, logit: Tensor) -> Tensor:
        flat = logit.flatten(1)
        return (flat.softmax(1) * flat.shape[1]).view_as(logit)


class SoftmaxBatch(nn.Module):
    """Softmax over the batch axis: the flaw of 004_19b35580bfaac8c6.txt (`nn.Softmax(dim=0)`), kept runnable.

    At batch 1 it is the constant 1, at batch N it averages 1/N, and a sample's output depends on its batch mates.
    """

    def forward(self, logit: Tensor) -> Tensor:
        return torch.softmax(logit, 0)


def make_gate(name: str, *, where: str, allowed: Collection[str] = GATES) -> nn.Module:
    """Builds the gate `name`; raises ValueError for a name outside `allowed`."""
    one_of(where, "gate", name, allowed)
    match name:
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
        case "none":
            return nn.Identity()
        case _:
            raise ValueError(f"{where}: gate={name!r} has no implementation")

"""Optimizer and learning-rate schedule from plain options."""

import math
from bisect import bisect_right
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from exp.options.sections import Optim


def build_optimizer(model: nn.Module, options: Optim, *, fused: bool = True) -> torch.optim.Optimizer:
    """The optimizer of ``exp.options.sections.Optim`` over all parameters that require a gradient.

    Args:
        model: What is trained.
        options: Optimizer options.
        fused: One kernel for all parameters, two to three times as fast.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    common: dict[str, Any] = {"lr": options.lr, "weight_decay": options.weight_decay, "fused": fused}
    if options.name == "sgd":
        nesterov = options.nesterov and options.momentum > 0
        return torch.optim.SGD(parameters, momentum=options.momentum, nesterov=nesterov, **common)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.name]
    return kind(parameters, betas=tuple(options.betas), **common)


def factor(options: Optim, epoch: float, max_epochs: float) -> float:
    """Learning rate at a point of training as a multiple of ``lr``.

    Args:
        options: Optimizer options.
        epoch: Epochs done, with fraction.
        max_epochs: Epochs of the whole run.
    """
    warmup = options.warmup
    if epoch < warmup:
        return epoch / warmup
    schedule = options.schedule
    if schedule == "step":
        return options.gamma ** math.floor(epoch / options.step_size + 1e-9)
    if schedule == "multistep":
        return options.gamma ** bisect_right(options.milestones, epoch + 1e-9)
    if schedule == "cosine":
        low = options.min_lr / options.lr if options.lr else 0.0
        done = min(1.0, (epoch - warmup) / max(1e-9, max_epochs - warmup))
        return low + (1 - low) * (1 + math.cos(math.pi * done)) / 2
    return 1.0


def build_schedule(
    optimizer: torch.optim.Optimizer, options: Optim, *, steps_per_epoch: int, max_epochs: int
) -> LambdaLR:
    """A schedule to be stepped after every optimizer step; warm-up counts the step ahead, so the rate is never 0."""

    def at(step: int) -> float:
        ahead = 1 if step < options.warmup * steps_per_epoch else 0
        return factor(options, (step + ahead) / steps_per_epoch, max_epochs) if steps_per_epoch else 1.0

    return LambdaLR(optimizer, at)

"""How large the gradient of each layer is: what a claim about vanishing gradients has to show."""

from collections.abc import Callable

import lightning.pytorch as pl
import torch
from torch import nn

from exp.tasks.base import Task

SPLIT = "gradients"
"""Name of the lines in metrics.jsonl."""


class GradientNorms(pl.Callback):
    """Writes the norm of each weight's gradient, divided by the norm of the weight, before clipping.

    Weights are those of convolutions and linear layers. The quotient says by what share a step of plain gradient
    descent would change a layer, so that layers of different size can be compared.

    Args:
        write: Takes ``split``, ``epoch``, ``step`` and the numbers by the layers' names.
        every: Optimizer steps between two lines.
    """

    def __init__(self, write: Callable[..., None], every: int) -> None:
        self.write = write
        self.every = every

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measures where a line is due."""
        if trainer.global_step % self.every or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Task)
        norms = relative_gradients(pl_module.model)
        self.write(split=SPLIT, epoch=trainer.current_epoch, step=trainer.global_step + 1, **norms)


def relative_gradients(model: nn.Module) -> dict[str, float]:
    """Gradient's norm over weight's norm of each convolution and linear layer that has a gradient, in their order."""
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)) and module.weight.grad is not None
    }
    if not layers:
        return {}
    pairs = [
        torch.stack([layer.weight.grad.norm(), layer.weight.detach().norm()])
        for layer in layers.values()
        if layer.weight.grad is not None
    ]
    values = torch.stack(pairs).tolist()  # one wait for the device
    return {name: gradient / weight if weight else 0.0 for name, (gradient, weight) in zip(layers, values, strict=True)}

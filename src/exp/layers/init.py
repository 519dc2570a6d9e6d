"""Initialisation shared by the residual networks."""

from torch import nn


def init_residual(model: nn.Module) -> None:
    """Initialises ``model`` as the published attention ResNets do, then restores every block's own starting values.

    Convolutions: Kaiming normal by fan-out, which does not count groups. Batch norm: gamma 1, beta 0. Every bias: 0.
    Linear layers keep torch's weights. Then ``init_weights()`` is called on all modules inside ``model`` that have it,
    for instance for triplet attention's gamma of zero.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if module is not model:
            restore = getattr(module, "init_weights", None)
            if callable(restore):
                restore()

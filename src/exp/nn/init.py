"""Initialisation shared by the residual networks."""

from torch import nn


def init_residual(model: nn.Module) -> None:
    """Initialises `model` as the published attention ResNets do, then restores every block's own starting values.

    Convolutions: Kaiming normal, fan out. BatchNorm: gamma 1, beta 0. Every bias 0. Linear layers keep torch's weights.
    Modules that define init_weights() (other than `model`) have the last word, for instance triplet's zero gamma.
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

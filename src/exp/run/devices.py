"""Devices that a cell asks for, compared with those of this machine; asked without torch."""

from exp.cells.machine import gpus
from exp.options.errors import ConfigError
from exp.options.sections import Trainer


def refuse_missing_devices(trainer: Trainer) -> None:
    """Refuses a cell that asks for GPUs on a machine that has too few.

    Raises:
        ConfigError: ``trainer.accelerator=gpu`` and fewer GPUs are visible than ``trainer.devices``.
    """
    if trainer.accelerator != "gpu":
        return
    visible = len(gpus())
    if visible < trainer.devices:
        raise ConfigError(
            f"trainer.accelerator=gpu: {visible} GPUs are visible here for trainer.devices={trainer.devices}; lower it"
            " or take trainer.accelerator=cpu"
        )

"""Devices that a cell asks for, compared with those of this machine; asked without torch."""

from exp.cells.machine import gpus
from exp.options.errors import ConfigError
from exp.options.sections import Trainer


def refuse_missing_devices(trainer: Trainer) -> None:
    """Refuses a cell that asks for GPUs on a machine that has too few.

    Raises:
        ConfigError: ``trainer.accelerator=gpu`` and fewer GPUs are visible than ``trainer.devices``; or
            ``trainer.precision=16-mixed``, which the cell would be recorded with, and no GPU is visible.
    """
    if trainer.precision == "16-mixed" and trainer.accelerator == "auto" and not gpus():
        raise ConfigError("trainer.precision=16-mixed: needs a GPU and none is visible here; on a CPU take bf16-mixed")
    if trainer.accelerator != "gpu":
        return
    visible = len(gpus())
    if visible < trainer.devices:
        raise ConfigError(
            f"trainer.accelerator=gpu: {visible} GPUs are visible here for trainer.devices={trainer.devices}; lower it"
            " or take trainer.accelerator=cpu"
        )

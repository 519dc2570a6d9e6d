"""An unchanged LightningModule, with its LightningDataModule or loaders of its own, as a task: an options class alone.

    class AutoencoderOptions(LightningOptions):
        \"\"\"Autoencoder of digits.\"\"\"

        name = "autoencoder"
        module = "mypkg.autoencoder:LitAutoencoder"
        datamodule = "mypkg.autoencoder:Digits"
        monitor, mode = "val_loss", "min"

        hidden: int = option(64, at_least(1))
        \"\"\"Units of the hidden layer.\"\"\"

Options are arguments of the two constructors. Everything else, from training_step to callbacks, is the module's own.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from exp.options.fields import distinctive, fields
from exp.options.parts import DataOptions, ModelOptions, NoAttention, Part, TaskOptions

if TYPE_CHECKING:
    from exp.options.config import Config

OWN_OPTIM = ("clip",)
"""Options of ``optim`` that the trainer applies; the optimizer itself is the module's."""
OWN_TRAINER = ("channels_last", "compile", "sync_batchnorm", "ema", "gradient_norms")
"""Options of ``trainer`` that change the network of a task written for exp."""


class LightningOptions(TaskOptions):
    """What every task has that is an unchanged LightningModule."""

    builds = "exp.tasks.adopted:Adopted"
    counted_on_meta = False

    module: ClassVar[str]
    """``package.module:Class`` of the LightningModule."""
    datamodule: ClassVar[str] = ""
    """``package.module:Class`` of the LightningDataModule; empty where the module has its loaders."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            cls.kind = cls.name
            cls.prefers = dict.fromkeys(fields(cls), "task")

    def logged(self) -> str:
        """Returns the name under which the module itself logs the monitored metric."""
        return self.monitor

    @classmethod
    def unread(cls, part: str, option: str) -> str:
        """Returns why nothing in a run of this task reads an option of a section; nothing where it may be read."""
        if option in OWN_TRAINER if part == "trainer" else part == "optim" and option not in OWN_OPTIM:
            return f"nothing reads it, since {cls.module} has that in its own hands"
        return ""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        for section in ("optim", "trainer"):
            options = getattr(config, section)
            for name, value in distinctive(type(options), options.plain()).items():
                if why := self.unread(section, name):
                    return f"{section}.{name}={value}: {why}"
        if not isinstance(config.att, NoAttention):
            return f"att={config.att.name}: nothing reads it, since {self.module} is not built by exp"
        return super().conflict(config)


def parts_beside(schema: type[LightningOptions]) -> tuple[type[Part], ...]:
    """Returns the model and the data set of such a task, which are the task's own and have no further options."""

    def named(base: type[Part], builds: str, words: str) -> type[Part]:
        body = {"__doc__": words, "__module__": schema.__module__, "name": schema.name, "builds": builds, "words": {}}
        return type(f"{schema.__name__}{base.__name__}", (base,), {**body, "kind": schema.name})

    source = schema.datamodule or schema.module
    return (
        named(ModelOptions, schema.module, f"The model in {schema.module}."),
        named(DataOptions, "exp.data.source:Opaque", f"What {source} loads."),
    )

"""What every run has: optimizer, trainer, sweep, cells, logger and origin."""

import importlib.util
import itertools
from typing import TYPE_CHECKING, Literal

from exp.options.checks import above, at_least, fraction
from exp.options.fields import Options, option

if TYPE_CHECKING:
    from exp.options.config import Config


class Section(Options):
    """Options that every run has, whatever is chosen for its parts."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        return None


def _two_fractions(value: list[float]) -> str | None:
    return None if len(value) == 2 and all(0 <= beta < 1 for beta in value) else "two numbers in [0, 1)"


def _rising(value: list[float]) -> str | None:
    rising = all(first < second for first, second in itertools.pairwise(value))
    return None if rising and all(epoch > 0 for epoch in value) else "epochs above 0 in rising order"


class Optim(Section):
    """Optimizer and learning-rate schedule; times are in epochs, the schedule moves at every step."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    """Optimizer."""
    lr: float = option(0.1, at_least(0))
    """Learning rate after warm-up."""
    momentum: float = option(0.9, fraction, name="sgd")
    """Momentum of SGD."""
    nesterov: bool = option(False, name="sgd")
    """Nesterov's form of momentum."""
    betas: list[float] = option([0.9, 0.999], _two_fractions, name=("adam", "adamw"))
    """Decay of Adam's two moments."""
    weight_decay: float = option(0.0, at_least(0))
    """L2 penalty (decoupled in adamw)."""
    schedule: Literal["constant", "step", "multistep", "cosine"] = "constant"
    """How the learning rate falls."""
    step_size: float = option(30.0, above(0), schedule="step")
    """Epochs between two drops."""
    milestones: list[float] = option([], _rising, schedule="multistep")
    """Epochs of the drops."""
    gamma: float = option(0.1, above(0), schedule=("step", "multistep"))
    """Factor of a drop."""
    min_lr: float = option(0.0, at_least(0), schedule="cosine")
    """Learning rate at the end of the cosine."""
    warmup: float = option(0.0, at_least(0))
    """Epochs of linear warm-up."""
    clip: float = option(0.0, at_least(0))
    """Largest norm of the gradient; 0 clips nothing."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        epochs = config.trainer.max_epochs
        if self.schedule == "cosine" and self.min_lr > self.lr:
            return f"optim.min_lr={self.min_lr:g}: above optim.lr={self.lr:g}, so that the rate would rise; lower it"
        if epochs and (self.warmup > epochs or self.warmup == epochs > 1):  # one epoch of warm-up alone is a smoke run
            return f"optim.warmup={self.warmup:g}: has to be shorter than trainer.max_epochs={epochs}; lower it"
        return None


class Trainer(Section):
    """How long and on what."""

    max_epochs: int = option(10, at_least(0))
    """Passes over the training data; 0 tests only."""
    accelerator: Literal["auto", "cpu", "gpu"] = option("auto", identity=False)
    """Kind of device."""
    devices: int = option(1, at_least(1))
    """Devices, each with a process of its own where there are several (distributed data parallel)."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic of forward and backward."""
    accumulate: int = option(1, at_least(1))
    """Micro-batches an optimizer step is made of; the batch size stays what it is."""
    sync_batchnorm: bool = option(True, devices=range(2, 65536))
    """Whether batch norm sees the whole batch over all devices."""
    channels_last: bool = False
    """Memory format in which convolutions are fastest with bf16 and on GPUs."""
    compile: bool = False
    """torch.compile with static shapes."""
    deterministic: bool = False
    """Operators that give the same bits each time, also on GPUs; one that cannot is an error. CPUs do so anyway."""
    threads: int = option(0, at_least(0), identity=False)
    """CPU threads; 0 takes the cell's share. Frozen at a cell's first start."""
    log_every: int = option(50, at_least(1), identity=False)
    """Steps between two lines of metrics.jsonl within an epoch."""
    save_every: float = option(60.0, at_least(0), identity=False)
    """Seconds between two saves of last.ckpt; 0 saves at the end of training only."""
    patience: int = option(0, at_least(0))
    """Epochs without a better monitored metric after which training stops early; 0 never stops."""
    ema: float = option(0.0, fraction)
    """Decay a step of the exponential moving average of the weights that is validated and tested; 0 keeps none."""
    gradient_norms: int = option(0, at_least(0), identity=False)
    """Optimizer steps between two lines of metrics.jsonl with the norm of each layer's gradient; 0 writes none."""
    fast_dev_run: int = option(0, at_least(0))
    """Debugging: this many batches of training, validation and test, and nothing more."""
    overfit_batches: int = option(0, at_least(0))
    """Debugging: train and validate on this many first batches."""
    profiler: Literal["none", "simple", "advanced", "pytorch"] = option("none", identity=False)
    """Debugging: Lightning's profiler, written to profile-*.txt in the cell."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            return "trainer.precision=16-mixed: needs a GPU; on a CPU take bf16-mixed"
        if self.max_epochs == 0 and not config.ckpt:
            return "trainer.max_epochs=0: tests a checkpoint; say which with ckpt=PATH"
        return None


class Sweep(Section):
    """How a sweep goes through its cells."""

    jobs: int = option(0, at_least(0), identity=False)
    """Cells at a time; 0 takes one a GPU, or one a CPU core."""
    invalid: Literal["error", "skip"] = option("error", identity=False)
    """What to do with combinations of choices that contradict each other."""
    force: Literal["none", "done", "stale", "failed"] = option("none", identity=False)
    """Finished cells to run anew: all that are done, those whose code or data changed, those that failed."""
    on_error: Literal["continue", "stop"] = option("continue", identity=False)
    """Whether a failed cell stops the sweep."""
    retry: int = option(0, at_least(0), identity=False)
    """How often a failed cell is tried again."""
    cells: str | None = option(None, identity=False)
    """YAML file that lists explicit cells, each a mapping of overrides."""


class Cells(Section):
    """Where cells land and what is kept of them."""

    dir: str = option("multirun", identity=False)
    """Folder of the cells."""
    keep: Literal["last+best", "best", "last", "none"] = option("last+best", identity=False)
    """Checkpoints kept once a cell is done."""


def _installed(name: str) -> str | None:
    missing = name == "tensorboard" and not any(
        importlib.util.find_spec(one) for one in ("tensorboard", "tensorboardX")
    )
    return "installed: pip install tensorboard" if missing else None


class Logger(Section):
    """Where curves go beside metrics.jsonl, which is the truth."""

    name: Literal["none", "wandb", "tensorboard", "csv"] = option("none", _installed, identity=False)
    """View of the metrics."""
    project: str = option("exp", identity=False, name="wandb")
    """Project of the runs."""
    entity: str | None = option(None, identity=False, name="wandb")
    """User or team of the runs; the account's own where not given."""


class Origin(Section):
    """Which table a cell was first run for; set by tables."""

    table: str | None = option(None, identity=False)
    """The table's name."""
    chosen: str | None = option(None, identity=False)
    """Choices taken over from the results of other rows or tables, as they were then."""

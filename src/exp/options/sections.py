"""What every run has: optimizer, trainer, sweep, cells, logger and origin."""

import importlib.util
import itertools
import os
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from exp.options.checks import above, at_least, duration, fraction, program
from exp.options.errors import nearest
from exp.options.fields import Includes, Options, option

if TYPE_CHECKING:
    from exp.options.config import Config


class Section(Options):
    """Options that every run has, whatever is chosen for its parts."""

    sets: ClassVar[dict[str, str]] = {}
    """Options that only give their value to another, ``part.option``: other spellings of it."""

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


def _limit(value: float) -> str | None:
    whole = isinstance(value, int)
    right = value >= 1 if whole else 0 < value <= 1
    return None if right else "a number of batches from 1 up, or a share above 0 and at most 1.0"


def _duration(value: str) -> str | None:
    parts = value.split(":")
    right = len(parts) == 4 and all(part.isdigit() for part in parts) and any(int(part) for part in parts)
    return None if right else "DD:HH:MM:SS, such as 00:12:00:00"


_NOT_DDP = {
    "ddp_spawn": "a cell starts its ranks itself; take ddp",
    "ddp_fork": "a cell starts its ranks itself; take ddp",
    "ddp_notebook": "a cell starts its ranks itself; take ddp",
    "fsdp": "weights that are cut up cannot be kept as best.ckpt and gone on from bit by bit; take ddp",
    "deepspeed": "weights that are cut up cannot be kept as best.ckpt and gone on from bit by bit; take ddp",
}


class Trainer(Section):
    """How long and on what; options of Lightning's Trainer have its names and mean what they mean there."""

    sets: ClassVar = {"accumulate_grad_batches": "trainer.accumulate", "gradient_clip_val": "optim.clip"}

    max_epochs: int = option(10, at_least(0))
    """Passes over the training data; 0 tests only."""
    max_steps: int = option(-1, at_least(-1))
    """Optimizer steps after which training stops, with a last validation; -1 sets no limit."""
    max_time: str | None = option(None, _duration)
    """Time of training, DD:HH:MM:SS, after which it stops, with a last validation; how far it comes by then depends on
    the machine."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = option("auto", identity=False)
    """Kind of device."""
    devices: int = option(1, at_least(1))
    """Devices, each with a process of its own where there are several (distributed data parallel)."""
    num_nodes: int = option(1, at_least(1), identity=False)
    """Always 1: devices are those of all nodes together, and srun says on how many nodes they are."""
    strategy: Literal[
        "auto",
        "ddp",
        "ddp_find_unused_parameters_false",
        "ddp_find_unused_parameters_true",
        "ddp_spawn",
        "ddp_fork",
        "ddp_notebook",
        "fsdp",
        "deepspeed",
    ] = option("auto", identity=False)
    """How several devices work together: ddp, which may look for parameters without a gradient."""
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed"] = "32-true"
    """Arithmetic of forward and backward."""
    accumulate: int = option(1, at_least(1))
    """Micro-batches an optimizer step is made of; the batch size stays what it is."""
    accumulate_grad_batches: int | None = option(None, at_least(1))
    """Lightning's name of accumulate."""
    gradient_clip_val: float | None = option(None, at_least(0))
    """Lightning's name of optim.clip."""
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"
    """Whether optim.clip bounds the norm of all gradients together, or the size of each of their numbers."""
    sync_batchnorm: bool = option(True, devices=range(2, 65536))
    """Whether batch norm sees the whole batch over all devices."""
    channels_last: Literal["auto", True, False] = "auto"
    """Memory format of images and convolutions; auto measures both at a long run's first start and takes the faster."""
    compile: Literal["auto", True, False] = "auto"
    """torch.compile with static shapes; auto tries it where hours of training on a GPU may repay it."""
    deterministic: bool = False
    """Operators that give the same bits each time, also on GPUs; one that cannot is an error. CPUs do so anyway."""
    threads: int = option(0, at_least(0), identity=False)
    """CPU threads; 0 takes the cell's share. Frozen at a cell's first start."""
    limit_train_batches: int | float | None = option(None, _limit)
    """Training micro-batches of an epoch, as a number or as a share such as 0.25; all where not given."""
    limit_val_batches: int | float | None = option(None, _limit)
    """Batches of a validation, likewise."""
    limit_test_batches: int | float | None = option(None, _limit)
    """Batches of the test, likewise."""
    check_val_every_n_epoch: int = option(1, at_least(1))
    """Epochs between two validations."""
    val_check_interval: int | float | None = option(None, _limit)
    """Training micro-batches between two validations within an epoch, as a number or a share; its end where not given.
    """
    log_every: int = option(50, at_least(1), identity=False)
    """Steps between two lines of metrics.jsonl within an epoch."""
    save_every: float = option(60.0, at_least(0), identity=False)
    """Seconds between two saves of last.ckpt; 0 saves at the end of training only."""
    patience: int = option(0, at_least(0))
    """Validations without a better monitored metric after which training stops early; 0 never stops."""
    ema: float = option(0.0, fraction)
    """Decay a step of the exponential moving average of the weights that is validated and tested; 0 keeps none."""
    gradient_norms: int = option(0, at_least(0), identity=False)
    """Optimizer steps between two lines of metrics.jsonl with the norm of each layer's gradient; 0 writes none."""
    enable_progress_bar: bool = option(False, identity=False)
    """Whether Lightning's own progress bar is shown too."""
    fast_dev_run: int = option(0, at_least(0))
    """Debugging: this many batches of training, validation and test, and nothing more."""
    overfit_batches: int = option(0, at_least(0))
    """Debugging: train and validate on this many first batches."""
    detect_anomaly: bool = option(False, identity=False)
    """Debugging: autograd names the operation that first gave NaN; slow."""
    profiler: Literal["none", "simple", "advanced", "pytorch"] = option("none", identity=False)
    """Debugging: Lightning's profiler, written to profile-*.txt in the cell."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            return "trainer.precision=16-mixed: needs a GPU; on a CPU take bf16-mixed"
        if self.accelerator == "mps":
            return "trainer.accelerator=mps: losses and scores are summed in float64, which Apple's GPUs lack; take cpu"
        if self.num_nodes > 1:
            return (
                f"trainer.num_nodes={self.num_nodes}: give the devices of all nodes together in trainer.devices, and"
                f" start the cell with srun --nodes={self.num_nodes}"
            )
        if self.strategy in _NOT_DDP:
            return f"trainer.strategy={self.strategy}: {_NOT_DDP[self.strategy]}"
        if self.gradient_clip_algorithm != "norm" and not config.optim.clip:
            return f"trainer.gradient_clip_algorithm={self.gradient_clip_algorithm}: nothing is clipped; set optim.clip"
        if self.max_epochs == 0 and not config.ckpt:
            return "trainer.max_epochs=0: tests a checkpoint; say which with ckpt=PATH"
        return None


def _callbacks(value: Any) -> str | None:
    form = "names with a target each, such as {lr: {target: 'lightning.pytorch.callbacks:LearningRateMonitor'}}"
    if not isinstance(value, dict):
        return form
    for given in value.values():
        target = given.get("target") if isinstance(given, dict) else None
        module, colon, name = target.partition(":") if isinstance(target, str) else ("", "", "")
        if not colon or not all(word.isidentifier() for word in (*module.split("."), name)):
            return form
    return None


class Callbacks(Section):
    """Callbacks of Lightning's or of your own, beside those that every cell has."""

    use: Any = option(None, _callbacks)
    """Callbacks by a name of your choice: target, package.module:Class, and its keyword arguments."""


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
    timeout: str | None = option(None, duration, identity=False)
    """Time such as 30min without a change in a running cell's folder, after which it counts as hanging: it is ended and
    has failed. Longer than the longest reading of data, validation or test; without it a cell may take any time."""
    cells: str | None = option(None, identity=False)
    """YAML file that lists explicit cells, each a mapping of overrides."""
    dry: bool = option(False, identity=False)
    """Tell how many cells would run, how long and on how much disk, and run none."""
    budget: str | None = option(None, duration, identity=False)
    """Wall-clock time, such as 2h or 90min, after which the cells that run save and stop, and no further one starts."""
    notify: str | None = option(None, program, identity=False)
    """Program that is run once at the end, without a shell, with the summary on its standard input."""


class Cells(Section):
    """Where cells land and what is kept of them."""

    dir: str = option("multirun", identity=False)
    """Folder of the cells."""
    keep: Literal["last+best", "best", "last", "none"] = option("last+best", identity=False)
    """Checkpoints kept once a cell is done."""


LOGGERS = ("wandb", "tensorboard", "csv")
"""Where metrics can be shown besides."""


def _loggers(name: str) -> str | None:
    chosen = name.split("+")
    if name != "none" and (unknown := [one for one in chosen if one not in LOGGERS]):
        return f"none, or of {', '.join(LOGGERS)} one or several joined by +{nearest(unknown[0], LOGGERS)}"
    if len({*chosen}) < len(chosen):
        return "each logger once"
    missing = "tensorboard" in chosen and not any(
        importlib.util.find_spec(one) for one in ("tensorboard", "tensorboardX")
    )
    return "installed: pip install tensorboard" if missing else None


def _name_of_wandb(value: str) -> str | None:
    wrong = next((one for one in value if one in "/\\#?%:" or not one.isprintable()), None)
    if wrong is not None:
        return f"a name that W&B takes, without {wrong!r}"
    return None if 0 < len(value) <= 128 else "a name of 1 to 128 characters"


WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
"""What W&B takes in the environment variable WANDB_MODE."""


class Logger(Section):
    """Where curves go beside metrics.jsonl, which is the truth."""

    name: str = option("none", _loggers, identity=False)
    """View of the metrics: wandb, tensorboard, csv, or several joined by +, such as wandb+csv."""
    project: str = option("exp", _name_of_wandb, identity=False, name=Includes("wandb"))
    """Project of the runs."""
    entity: str | None = option(None, _name_of_wandb, identity=False, name=Includes("wandb"))
    """User or team of the runs; the account's own where not given."""
    group: str | None = option(None, identity=False, name=Includes("wandb"))
    """What the run is grouped by; the table or the sweep it belongs to where not given."""
    job_type: str | None = option(None, identity=False, name=Includes("wandb"))
    """Kind of the run; the task's name where not given."""
    tags: list[str] = option([], identity=False, name=Includes("wandb"))
    """Tags beside those of recipe and data set."""
    system: bool = option(True, identity=False, name=Includes("wandb"))
    """Whether the run also has what W&B gathers by itself: load of the machine, git state, console output."""
    save_code: bool = option(False, identity=False, name=Includes("wandb"))
    """Whether the Python and YAML files of the working directory are kept as an artifact."""
    log_model: bool = option(False, identity=False, name=Includes("wandb"))
    """Whether best.ckpt is kept as an artifact."""
    watch: Literal["none", "gradients", "parameters", "all"] = option("none", identity=False, name=Includes("wandb"))
    """Histograms of gradients, of weights or of both, every trainer.log_every steps."""

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the loggers, of which there may be none."""
        return () if self.name == "none" else tuple(self.name.split("+"))

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        asked = os.environ.get("WANDB_MODE", "")
        if "wandb" in self.views and asked and asked not in WANDB_MODES:
            return f"WANDB_MODE={asked}: W&B has no such mode; set online, offline or disabled, or unset it"
        if self.log_model and "best" not in config.cells.keep:
            return f"logger.log_model=true: cells.keep={config.cells.keep} removes best.ckpt; take last+best or best"
        return None


class Origin(Section):
    """Where a cell comes from; set by tables and launchers."""

    table: str | None = option(None, identity=False)
    """The table's name."""
    chosen: str | None = option(None, identity=False)
    """Choices taken over from the results of other rows or tables, as they were then."""
    code: str | None = option(None, identity=False)
    """Digest of your code with which the cell was queued; set by launchers, whose job runs under no other."""

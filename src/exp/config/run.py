"""What every run has: optimizer, trainer, sweep, tracking and the short names of the axes."""

from dataclasses import dataclass
from typing import Any, Literal

from exp.config.options import at_least, fraction, option


@dataclass(kw_only=True)
class Optim:
    """Optimizer and learning-rate schedule; times are in epochs, the schedule moves at every step."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    """Optimizer."""
    lr: float = option(0.1, at_least(0))
    """Learning rate after warm-up."""
    momentum: float = option(0.9, fraction, name="sgd")
    """Momentum of SGD."""
    nesterov: bool = option(False, name="sgd")
    """Nesterov's form of momentum."""
    betas: list[float] = option([0.9, 0.999], name=("adam", "adamw"))
    """Decay of Adam's two moments."""
    weight_decay: float = option(0.0, at_least(0))
    """L2 penalty (decoupled in adamw)."""
    schedule: Literal["constant", "step", "multistep", "cosine"] = "constant"
    """How the learning rate falls."""
    step_size: float = option(30.0, schedule="step")
    """Epochs between two drops."""
    milestones: list[float] = option([], schedule="multistep")
    """Epochs of the drops."""
    gamma: float = option(0.1, schedule=("step", "multistep"))
    """Factor of a drop."""
    min_lr: float = option(0.0, schedule="cosine")
    """Learning rate at the end of the cosine."""
    warmup: float = option(0.0, at_least(0))
    """Epochs of linear warm-up."""
    clip: float = option(0.0, at_least(0))
    """Largest norm of the gradient; 0 clips nothing."""


@dataclass(kw_only=True)
class Trainer:
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
    threads: int = option(0, at_least(0), identity=False)
    """CPU threads; 0 takes the cell's share. Frozen at a cell's first start."""
    log_every: int = option(50, at_least(1), identity=False)
    """Steps between two lines of metrics.jsonl within an epoch."""
    save_every: float = option(300.0, at_least(0), identity=False)
    """Seconds between two saves of last.ckpt within an epoch; 0 saves at the end of epochs only."""
    fast_dev_run: int = option(0, at_least(0))
    """Debugging: this many batches of training, validation and test, and nothing more."""
    overfit_batches: int = option(0, at_least(0))
    """Debugging: train and validate on this many first batches."""
    profiler: Literal["none", "simple", "advanced", "pytorch"] = option("none", identity=False)
    """Debugging: Lightning's profiler, written to profile-*.txt in the cell."""


@dataclass(kw_only=True)
class Sweep:
    """How a sweep goes through its cells."""

    jobs: int = option(0, at_least(0), identity=False)
    """Cells at a time; 0 takes one a GPU, or one a CPU core."""
    invalid: Literal["error", "skip"] = option("error", identity=False)
    """What to do with combinations that cannot stand."""
    force: Literal["none", "done", "stale", "failed"] = option("none", identity=False)
    """Finished cells to run anew: all that are done, those whose code or data changed, those that failed."""
    on_error: Literal["continue", "stop"] = option("continue", identity=False)
    """Whether a failed cell stops the sweep."""
    retry: int = option(0, at_least(0), identity=False)
    """How often a failed cell is tried again."""
    cells: str | None = option(None, identity=False)
    """YAML file that lists explicit cells, each a mapping of overrides."""


@dataclass(kw_only=True)
class Cells:
    """Where cells land and what is kept of them."""

    dir: str = option("multirun", identity=False)
    """Folder of the cells."""
    keep: Literal["last+best", "best", "last", "none"] = option("last+best", identity=False)
    """Checkpoints kept once a cell is done."""


@dataclass(kw_only=True)
class Axes:
    """Short names of the axes a table varies; each goes to the part of the run that declares it."""

    activation: Any = None
    """Non-linearity."""
    gate: Any = None
    """Last non-linearity of a gate."""
    pool: Any = None
    """Pooling statistics, joined by +."""
    kernel_size: Any = None
    """Side of a convolution."""
    bias: Any = None
    """Bias of a convolution."""
    reduction: Any = None
    """Channel reduction."""
    fusion: Any = None
    """How branches are joined."""
    placement: Any = None
    """Where attention stands."""
    axes: Any = None
    """Planes that are attended."""
    pools: Any = None
    """1-D pooling statistics."""
    negative_slope: Any = None
    """Slope of leaky_relu below zero."""
    alpha: Any = None
    """Scale of elu and celu below zero."""
    spatial: Any = None
    """Whether the spatial branch takes part."""
    stem: Any = None
    """First layers of the backbone."""
    width: Any = None
    """Channels of the backbone."""
    label_smoothing: Any = None
    """Label smoothing of the training loss."""
    batch_size: Any = None
    """Samples an optimizer step."""
    lr: Any = None
    """Learning rate."""
    weight_decay: Any = None
    """Weight decay."""

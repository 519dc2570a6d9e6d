"""What every run has: optimizer, trainer, sweep, tracking and the short names of the axes."""

import importlib.util
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


def _installed(name: str) -> str | None:
    missing = name == "tensorboard" and not any(
        importlib.util.find_spec(one) for one in ("tensorboard", "tensorboardX")
    )
    return "installed: pip install tensorboard" if missing else None


@dataclass(kw_only=True)
class Logger:
    """Where curves go beside metrics.jsonl, which is the truth."""

    name: Literal["none", "wandb", "tensorboard", "csv"] = option("none", _installed, identity=False)
    """View of the metrics."""
    project: str = option("exp", identity=False, name="wandb")
    """Project of the runs."""
    entity: str | None = option(None, identity=False, name="wandb")
    """User or team of the runs; the account's own where not given."""


@dataclass(kw_only=True)
class Origin:
    """Which table a cell was first run for; set by tables."""

    table: str | None = option(None, identity=False)
    """The table's name."""
    chosen: str | None = option(None, identity=False)
    """Choices taken over from the results of other rows or tables, as they stood then."""


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
    form: Any = None
    """How a large kernel is made."""
    kernels: Any = None
    """Kernel sizes of a set of branches, joined by +."""
    coord: Any = None
    """Coordinates given to a gate."""
    branches: Any = None
    """Sizes of parallel convolutions, joined by +."""
    norm: Any = None
    """Norm between convolutions."""
    lka_activation: Any = None
    """Non-linearity inside a large kernel."""
    join: Any = None
    """How a map meets what it attends to."""
    drop_path: Any = None
    """Chance to drop a residual branch."""
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
    mixup: Any = None
    """alpha of mixup."""
    cutmix: Any = None
    """alpha of CutMix."""
    init: Any = None
    """Where the starting weights come from."""
    batch_size: Any = None
    """Samples an optimizer step."""
    lr: Any = None
    """Learning rate."""
    weight_decay: Any = None
    """Weight decay."""
    order: Any = None
    """Order of the frames, or of a lane's rows."""
    train_order: Any = None
    """Order of the frames in training."""
    test_order: Any = None
    """Order of the frames in validation and test."""
    test_frames: Any = None
    """Frames of a clip in validation and test."""
    layout: Any = None
    """What a recurrent layer sees as sequences."""
    readout: Any = None
    """What is taken of a recurrent layer's steps."""
    bidirectional: Any = None
    """Whether a second recurrent layer runs backwards."""
    temporal_pool: Any = None
    """What stands for the frames of a clip."""
    bins: Any = None
    """Horizontal strips of a body."""
    part_pool: Any = None
    """Statistic of a strip."""
    separate_fc: Any = None
    """Whether each part has a matrix of its own."""
    strides: Any = None
    """Strides of the backbone's stages."""
    loss_per: Any = None
    """One loss a part, or one on their mean."""
    preset: Any = None
    """Kind of generated data."""
    dropout: Any = None
    """Dropout of the head."""
    batch_norm: Any = None
    """Whether convolutions are followed by batch norm."""
    clip: Any = None
    """Largest norm of the gradient."""
    tokens: Any = None
    """What a lane's tokens stand for."""
    nbins: Any = None
    """Bins over the input's width."""
    max_dx: Any = None
    """Largest difference in bins."""
    steps: Any = None
    """Rows at which a lane is sampled."""
    max_lanes: Any = None
    """Lane slots of an image."""
    slots: Any = None
    """Which lane has which slot."""
    slot: Any = None
    """Slot embedding's start."""
    bos: Any = None
    """First input of a lane."""
    padding: Any = None
    """Whether rows without a point count in the loss."""
    soft: Any = None
    """Deviation of a soft target in bins."""
    y_loss: Any = None
    """Loss of the row index."""
    y_weight: Any = None
    """Weight of the row index's loss."""
    cell_loss: Any = None
    """Weight of a loss on each visual token's lane."""
    scheduled_sampling: Any = None
    """Whether the model's own tokens are fed in training."""
    rollout: Any = None
    """Weight of a second loss on the model's own tokens."""
    lane_batch: Any = None
    """Lanes in a micro-batch's loss."""
    backbone: Any = None
    """Image encoder."""
    frozen: Any = None
    """Whether the backbone keeps its weights."""
    levels: Any = None
    """Pyramid levels that give visual tokens."""
    subsample: Any = None
    """Whether P3 and P4 give one token for each 2x2 places."""
    cross: Any = None
    """One memory for all blocks, or a level a block."""
    token_pool: Any = None
    """Whether learnt queries pool the visual tokens."""
    encoder: Any = None
    """What stands before the projection of visual tokens."""
    encoder_scale: Any = None
    """Factor of visual tokens."""
    position_strength: Any = None
    """Factor of the 2-D position code."""
    memory_mask: Any = None
    """Whether places without image are hidden."""
    overfit: Any = None
    """Train and test on this many training frames."""

"""Trains and tests one cell. The only place that builds a Trainer."""

import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from exp.callbacks.adopted import Books
from exp.callbacks.checkpoint import Interrupted as Interrupted
from exp.callbacks.checkpoint import Keeper, LockLost
from exp.callbacks.early_stopping import ResumableEarlyStopping
from exp.callbacks.ema import WeightAverage
from exp.callbacks.gate_record import GateRecord, record_maps
from exp.callbacks.generations import resumable
from exp.callbacks.gradient_norms import GradientNorms
from exp.callbacks.metrics_logger import MetricsLogger
from exp.callbacks.own import own_callbacks
from exp.callbacks.recorder import Recorder, Report
from exp.cells.cell import LAST
from exp.cells.machine import keep_memory
from exp.cells.metrics_file import MetricsFile, read_metrics
from exp.layers.pointwise import takes_faulty_kernel
from exp.layers.sync_norm import synchronised
from exp.options.adopted import LightningOptions
from exp.options.catalog import monitored
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.sections import Trainer
from exp.options.weights import OWN, TIMM
from exp.run.ddp import ALONE, Rank, Ranks
from exp.run.layout import choose, lay_out
from exp.tasks.adopted import Adopted
from exp.tasks.base import Loader, Task
from exp.tasks.build import build_task, cost
from exp.tasks.checkpoint import load_weights, weights_sha256
from exp.tasks.pretrained import load_timm
from exp.tasks.transfer import take


def run(
    config: Config,
    folder: Path,
    *,
    rank: Rank = ALONE,
    threads: int = 0,
    held: Callable[[], bool] = lambda: True,
    report: Report = lambda progress: None,
    views: Sequence[pl.Callback] = (),
) -> dict[str, Any]:
    """Trains, goes back to the best epoch and tests it once.

    Args:
        config: The cell's options.
        folder: The cell's directory; the newest good checkpoint there is gone on from.
        rank: Which process of how many this is.
        threads: CPU threads; 0 leaves torch's own number.
        held: Whether the cell's lock is still ours.
        report: Takes the progress.
        views: Callbacks that show metrics.jsonl elsewhere; called after it is written.

    Returns:
        What the run measured: metrics by split, cost, time, samples, world size, and the hash of the final weights.

    Raises:
        Interrupted: Asked to stop; what is needed to go on is saved.
        Diverged: The loss is not finite.
        DataError: The data set is missing or damaged.
    """
    quiet()
    if threads:
        torch.set_num_threads(threads)
    device = device_of(config.trainer, rank)
    task = prepared(config, device, rank)
    keeper = _keeper(config, folder, held)
    metrics = MetricsFile(folder / "metrics.jsonl")
    recorder = Recorder(metrics, log_every=config.trainer.log_every, report=report)
    extras, after = _extras(task, metrics)
    callbacks = [*extras, *own_callbacks(config.callbacks.use), recorder, *views, keeper, *after]
    # What an unchanged module logs is in the lines of training and evaluation already.
    logger = MetricsLogger(metrics, folder, writes=rank.rank == 0 and not isinstance(task, Adopted))
    trainer = build_trainer(config, folder, rank, device, callbacks, logger)
    logger.epoch = lambda: trainer.current_epoch
    given = _loaders(task, device, rank)
    laid_out = _settle(task, folder, device, rank)
    if config.trainer.max_epochs:
        checkpoint = resumable(folder, tell=trainer.is_global_zero)
        keeper.last_is_good = checkpoint is not None and checkpoint.name == LAST
        trainer.fit(task.lightning, **given["fit"], ckpt_path=None if checkpoint is None else str(checkpoint))
        _same_world(trainer, rank)
    result = _tested(trainer, task, keeper, given["test"])
    if not trainer.is_global_zero:
        return result
    if not held():
        raise LockLost("another process has taken this cell over; its result counts")
    metrics.write(split="test", epoch=trainer.current_epoch, step=trainer.global_step, **task.latest["test"])
    for gates in (extra for extra in extras if isinstance(extra, GateRecord)):
        result |= gates.result
        record_maps(task, folder)
    return result | laid_out | cost(config) | task.finish(folder, keeper.best, read_metrics(metrics.path))


def _keeper(config: Config, folder: Path, held: Callable[[], bool]) -> Keeper:
    """Returns what saves checkpoints and ends the training where it is told to."""
    options, (monitor, mode) = config.trainer, monitored(config.task)
    return Keeper(
        folder,
        save_every=options.save_every,
        monitor=monitor,
        mode=mode,
        max_steps=options.max_steps,
        max_seconds=_seconds(options.max_time),
        held=held,
    )


def _tested(trainer: pl.Trainer, task: Task | Adopted, keeper: Keeper, given: dict[str, Any]) -> dict[str, Any]:
    """Tests the weights of the best epoch and returns what the run measured."""
    final = weights_sha256(task.model)
    if keeper.best is not None and not task.config.trainer.fast_dev_run:
        load_weights(task, str(keeper.folder / "best.ckpt"))
    tested = time.monotonic()
    if isinstance(task, Adopted) and not task.has_test():
        trainer.validate(task.lightning, **given, verbose=False)
    else:
        trainer.test(task.lightning, **given, verbose=False)
    device = task.device
    return {
        "test": task.latest["test"],
        "best": keeper.best,
        "epochs": trainer.current_epoch,
        "train_seconds": round(keeper.train_seconds - (time.monotonic() - tested), 3),
        "samples_seen": total_samples(task),
        "world_size": trainer.world_size,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "weights_sha256": final,
        "code": keeper.code_of(task.lightning),
    }


def prepared(config: Config, device: torch.device, rank: Rank) -> Task | Adopted:
    """Returns the task with its starting weights, in the memory format and on the ranks it will be trained with."""
    if device.type == "cpu":
        keep_memory()
    task = build_task(config)
    if config.trainer.precision == "64-true":
        # Lightning does so after it has read a checkpoint, which would round the weights to float32.
        task.lightning.double()
    if config.ckpt:
        load_weights(task, config.ckpt)
    elif config.model.init != OWN:
        note = load_timm(task.model, config.model.timm) if config.model.init == TIMM else take(task, config.model.init)
        if rank.rank == 0:
            print(note, flush=True)
    if rank.world_size > 1 and config.trainer.sync_batchnorm and isinstance(task, Task):
        task.model = synchronised(task.model, device)
    if config.trainer.compile is True and device.type == "cpu" and takes_faulty_kernel(task.model, compiled=True):
        raise ConfigError(
            "trainer.compile=true: torch's kernel for strided 1x1 convolutions of 2 to 7 channels writes past its"
            " buffers in compiled code on some CPUs; leave trainer.compile out, or take a wider net"
        )
    lay_out(task.model, config)
    return task


def _loaders(task: Task | Adopted, device: torch.device, rank: Rank) -> dict[str, dict[str, Any]]:
    """Returns what the trainer's ``fit`` and ``test`` are given of the data."""
    config = task.config
    if isinstance(task, Adopted):
        if rank.rank == 0:
            task.note = lambda text: print(text, flush=True)
        given = task.place_loaders(seed=config.seed, rank=rank.rank, world_size=rank.world_size)
        return {"fit": given, "test": given}

    def loader(split: str) -> Loader | None:
        return task.loader(split, device=device, rank=rank.rank, world_size=rank.world_size)

    if config.trainer.max_epochs:
        task.train_loader = loader("train")
        assert task.train_loader is not None
        task.steps_per_epoch = steps(len(task.train_loader), config.trainer)
    fit = {"train_dataloaders": task.train_loader, "val_dataloaders": loader(task.eval_split)}
    return {"fit": fit, "test": {"dataloaders": loader("test")}}


def _settle(task: Task | Adopted, folder: Path, device: torch.device, rank: Rank) -> dict[str, Any]:
    """Lays the model out as measurement says where the options leave it open; returns the choice for the record."""
    if not isinstance(task, Task) or not task.train_loader:
        return {}
    options = task.config.trainer
    micro_batches = task.steps_per_epoch * options.accumulate * options.max_epochs
    if options.max_steps >= 0:
        micro_batches = min(micro_batches, options.max_steps * options.accumulate)
    layout = choose(task, task.train_loader, folder, device, batches=micro_batches, leads=rank.rank == 0)
    if not layout.why:
        return {}
    task.config = layout.settle(task.config)
    lay_out(task.model, task.config)
    if rank.rank == 0:
        memory = "memory kept from step to step, " if device.type == "cpu" and keep_memory() else ""
        fused = f"fused {task.config.optim.name}" if task.fuses_optimizer else task.config.optim.name
        print(f"measured: {layout.why}", flush=True)
        print(f"threads: {torch.get_num_threads()}; {memory}{fused}", flush=True)
    return {"layout": asdict(layout)}


def _extras(task: Task | Adopted, metrics: MetricsFile) -> tuple[list[pl.Callback], list[pl.Callback]]:
    """Returns the callbacks that the options ask for: those that come before what saves, and those after it."""
    config = task.config
    options = config.trainer
    extras: list[pl.Callback] = [Books(task)] if isinstance(task, Adopted) else []
    after: list[pl.Callback] = []
    if options.ema:
        average = WeightAverage(options.ema)
        extras.append(average)
        after.append(average.back)
    if options.patience:
        extras.append(
            ResumableEarlyStopping(
                patience=options.patience, monitor=config.task.logged(), mode=monitored(config.task)[1]
            )
        )
    if options.gradient_norms:
        extras.append(GradientNorms(metrics.write, options.gradient_norms))
    if getattr(config.att, "record", False):
        extras.append(GateRecord(metrics.write))
    return extras, after


def _seconds(max_time: str | None) -> float:
    """Returns a duration DD:HH:MM:SS in seconds."""
    if max_time is None:
        return math.inf
    days, hours, minutes, seconds = (int(part) for part in max_time.split(":"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def total_samples(task: Task | Adopted) -> int:
    """Returns the number of samples trained on over all ranks."""
    seen = torch.tensor(task.samples_seen, dtype=torch.int64, device=task.device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(seen)
    return int(seen)


def device_of(options: Trainer, rank: Rank) -> torch.device:
    """Returns where this rank trains.

    Raises:
        ConfigError: There are too few GPUs.
    """
    wanted = options.accelerator
    available = torch.cuda.device_count() if wanted != "cpu" and torch.cuda.is_available() else 0
    if available < rank.per_node and (wanted in ("gpu", "cuda") or (available and rank.nodes > 1)):
        where = f", {rank.per_node} of them on each node," if rank.nodes > 1 else ""
        raise ConfigError(
            f"trainer.devices={rank.world_size}:{where} {available} GPUs are visible; lower it or take"
            " trainer.accelerator=cpu"
        )
    return torch.device("cuda", rank.local_rank) if available >= rank.per_node else torch.device("cpu")


def build_trainer(
    config: Config, folder: Path, rank: Rank, device: torch.device, callbacks: list[pl.Callback], logger: MetricsLogger
) -> pl.Trainer:
    """Returns a trainer for this process."""
    options = config.trainer
    strategy: Strategy | str = SingleDeviceStrategy(device)
    if rank.world_size > 1:
        unused = options.strategy == "ddp_find_unused_parameters_true"
        unused = unused or isinstance(config.task, LightningOptions)  # whose steps may leave some out, as a GAN's do
        strategy = DDPStrategy(gradient_as_bucket_view=True, find_unused_parameters=unused)
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=rank.per_node,
        num_nodes=rank.nodes,
        strategy=strategy,
        plugins=[Ranks(rank)],
        precision=options.precision,
        deterministic=options.deterministic or None,
        max_epochs=options.max_epochs,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=config.optim.clip or None,
        gradient_clip_algorithm=options.gradient_clip_algorithm,
        limit_train_batches=options.limit_train_batches,
        limit_val_batches=options.limit_val_batches,
        limit_test_batches=options.limit_test_batches,
        check_val_every_n_epoch=options.check_val_every_n_epoch,
        val_check_interval=options.val_check_interval,
        log_every_n_steps=options.log_every,
        fast_dev_run=options.fast_dev_run,
        overfit_batches=options.overfit_batches,
        detect_anomaly=options.detect_anomaly,
        profiler=_profiler(options.profiler, folder),
        callbacks=callbacks,
        logger=logger,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_progress_bar=options.enable_progress_bar,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=True,
        default_root_dir=str(folder),
    )


def _profiler(name: str, folder: Path) -> Any:
    from lightning.pytorch import profilers

    kinds = {
        "simple": profilers.SimpleProfiler,
        "advanced": profilers.AdvancedProfiler,
        "pytorch": profilers.PyTorchProfiler,
    }
    return None if name == "none" else kinds[name](dirpath=str(folder), filename="profile")


def steps(batches: int, options: Trainer) -> int:
    """Returns the optimizer steps of an epoch."""
    limit = options.fast_dev_run or options.overfit_batches or options.limit_train_batches or batches
    return math.ceil(limited(batches, limit) / options.accumulate)


def limited(batches: int, limit: float | None) -> int:
    """Returns how many of the batches a limit leaves: a share of them, a number, or all where it is None."""
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


def _same_world(trainer: pl.Trainer, rank: Rank) -> None:
    group = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if not trainer.world_size == group == rank.world_size:
        raise RuntimeError(
            f"{rank.world_size} ranks planned, Lightning has {trainer.world_size}, the group has {group}"
        )


def quiet() -> None:
    """Silences Lightning's notices, which say nothing that a sweep's log needs."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*GPU available but not used.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*smaller than the logging interval.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # scores are those of all ranks already
        ".*was called before the ``update`` method.*",  # a rank without a batch
    ):
        warnings.filterwarnings("ignore", message)

"""Trains and tests one cell. The only place that builds a Trainer."""

import hashlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from torch import nn

from exp import registry
from exp.checkpoint import Keeper, LockLost
from exp.config import TASKS, ConfigError
from exp.ddp import ALONE, Rank, Ranks
from exp.early_stopping import EarlyStopping
from exp.ema import WeightAverage
from exp.gradient_norms import GradientNorms
from exp.models.count import count
from exp.models.pretrained import load_timm
from exp.nn.sync_norm import synchronised
from exp.tasks.base import Loader, Task, stable_seed
from exp.track.gate_record import GateRecord, record_maps
from exp.track.metrics import MetricsFile, read_metrics
from exp.track.recorder import Recorder, Report


def build_task(config: dict[str, Any], source: Any) -> Task:
    """The task with its model, initialised from the cell's seed."""
    torch.manual_seed(stable_seed(config["seed"], 0xC0FFEE))
    return registry.load(registry.TASKS, config["task"]["name"])(config, source)


def cost(config: dict[str, Any]) -> dict[str, Any]:
    """Parameters, multiply-accumulates and the published FLOPs of a cell's model for one sample; needs no data.

    What else the task says of the cost stands behind them.
    """
    with torch.device("meta"):
        task = build_task(config, registry.source(config["data"]))
    counts = count(task.model, *task.example_shapes())
    known = {"params": counts.params, "macs": counts.macs, "gflops_published": round(counts.gflops_published, 4)}
    return known | task.extra_costs()


def run(
    config: dict[str, Any],
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
        config: The cell's effective options.
        folder: The cell's directory; a ``last.ckpt`` there is gone on from.
        rank: Which process of how many this is.
        threads: CPU threads; 0 leaves torch's own number.
        held: Whether the cell's lock is still ours.
        report: Told of progress.
        views: Callbacks that show metrics.jsonl elsewhere; called after it is written.

    Returns:
        What the run measured: metrics by split, cost, time, samples, world size, and the hash of the final weights.

    Raises:
        Interrupted: Asked to stop; what is needed to go on is saved.
        Diverged: The loss is not finite.
        DataError: The data set is missing or damaged.
    """
    _quiet()
    if threads:
        torch.set_num_threads(threads)
    options = config["trainer"]
    source = registry.source(config["data"])
    task = build_task(config, source)
    if options["channels_last"]:
        task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config["ckpt"]:
        load_weights(task, config["ckpt"])
    elif config.get("model", {}).get("init") == "timm":
        load_timm(task.model, config["model"]["name"])
    device = _device(options, rank)
    if rank.world_size > 1 and options["sync_batchnorm"]:
        task.model = synchronised(task.model, device)
    if options["compile"]:
        task.model.compile(dynamic=False)
    schema = TASKS[config["task"]["name"]]

    def loader(split: str) -> Loader | None:
        return task.loader(split, device=device, rank=rank.rank, world_size=rank.world_size)

    keeper = Keeper(
        folder,
        save_every=options["save_every"],
        monitor=schema.monitor,
        mode=schema.mode,
        held=held,
    )
    recorder = Recorder(MetricsFile(folder / "metrics.jsonl"), log_every=options["log_every"], report=report)
    extras = _extras(config, recorder.metrics)
    trainer = _trainer(config, folder, rank, device, [*extras, recorder, *views, keeper])
    if options["max_epochs"]:
        task.train_loader = loader("train")
        assert task.train_loader is not None
        task.steps_per_epoch = _steps(len(task.train_loader), options)
        last = folder / "last.ckpt"
        trainer.fit(
            task,
            train_dataloaders=task.train_loader,
            val_dataloaders=loader(task.eval_split),
            ckpt_path=str(last) if last.exists() else None,
        )
        _same_world(trainer, rank)
    final = weights_sha256(task.model)
    if keeper.best is not None and not options["fast_dev_run"]:
        load_weights(task, str(folder / "best.ckpt"))
    tested = time.monotonic()
    trainer.test(task, dataloaders=loader("test"), verbose=False)
    result = {
        "test": task.latest["test"],
        "best": keeper.best,
        "epochs": trainer.current_epoch,
        "train_seconds": round(keeper.train_seconds - (time.monotonic() - tested), 3),
        "samples_seen": total_samples(task),
        "world_size": trainer.world_size,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "weights_sha256": final,
    }
    if trainer.is_global_zero:
        if not held():
            raise LockLost("another process has taken this cell over; its result stands")
        recorder.metrics.write(
            split="test", epoch=trainer.current_epoch, step=trainer.global_step, **task.latest["test"]
        )
    if not trainer.is_global_zero:
        return result
    for extra in extras:
        if isinstance(extra, GateRecord):
            result |= extra.found
            record_maps(task, folder)
    return result | cost(config) | task.finish(folder, keeper.best, read_metrics(folder / "metrics.jsonl"))


def _extras(config: dict[str, Any], metrics: MetricsFile) -> list[pl.Callback]:
    """What a run does besides, where it was asked for."""
    options, schema = config["trainer"], TASKS[config["task"]["name"]]
    extras: list[pl.Callback] = []
    if options["ema"]:
        extras.append(WeightAverage(options["ema"]))
    if options["patience"]:
        extras.append(EarlyStopping(patience=options["patience"], monitor=schema.monitor, mode=schema.mode))
    if options["gradient_norms"]:
        extras.append(GradientNorms(metrics.write, options["gradient_norms"]))
    if config.get("att", {}).get("record"):
        extras.append(GateRecord(metrics.write))
    return extras


def total_samples(task: Task) -> int:
    """Samples trained on over all ranks."""
    seen = torch.tensor(task.samples_seen, dtype=torch.int64, device=task.device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(seen)
    return int(seen)


def _device(options: dict[str, Any], rank: Rank) -> torch.device:
    wanted = options["accelerator"]
    available = torch.cuda.device_count() if wanted != "cpu" and torch.cuda.is_available() else 0
    if available < rank.per_node and (wanted == "gpu" or (available and rank.nodes > 1)):
        where = f", {rank.per_node} of them on each node," if rank.nodes > 1 else ""
        raise ConfigError(
            f"trainer.devices={rank.world_size}:{where} {available} GPUs are visible; lower it or take"
            " trainer.accelerator=cpu"
        )
    return torch.device("cuda", rank.local_rank) if available >= rank.per_node else torch.device("cpu")


def _trainer(
    config: dict[str, Any], folder: Path, rank: Rank, device: torch.device, callbacks: list[pl.Callback]
) -> pl.Trainer:
    options = config["trainer"]
    strategy: Strategy | str = SingleDeviceStrategy(device)
    if rank.world_size > 1:
        strategy = DDPStrategy(gradient_as_bucket_view=True)
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=rank.per_node,
        num_nodes=rank.nodes,
        strategy=strategy,
        plugins=[Ranks(rank)],
        precision=options["precision"],
        max_epochs=options["max_epochs"],
        accumulate_grad_batches=options["accumulate"],
        gradient_clip_val=config["optim"]["clip"] or None,
        fast_dev_run=options["fast_dev_run"],
        overfit_batches=options["overfit_batches"],
        profiler=_profiler(options["profiler"], folder),
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
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


def _steps(batches: int, options: dict[str, Any]) -> int:
    limit = options["fast_dev_run"] or options["overfit_batches"]
    return math.ceil((min(batches, limit) if limit else batches) / options["accumulate"])


def _same_world(trainer: pl.Trainer, rank: Rank) -> None:
    group = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if not trainer.world_size == group == rank.world_size:
        raise RuntimeError(
            f"{rank.world_size} ranks planned, Lightning has {trainer.world_size}, the group has {group}"
        )


def load_weights(task: Task, path: str) -> None:
    """Loads the weights of a checkpoint that this project wrote.

    Raises:
        ConfigError: The file holds no such checkpoint, or one of another model.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:
        raise ConfigError(f"ckpt={path}: not a checkpoint of exp ({type(error).__name__})") from error
    try:
        task.load_state_dict(state)
    except RuntimeError as error:
        problem = str(error).split("\n\t")[1].strip() if "\n\t" in str(error) else str(error)
        raise ConfigError(f"ckpt={path}: another model's weights: {problem}") from error


def weights_sha256(model: nn.Module) -> str:
    """Hash of names, types, shapes and bytes of the state dict in key order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return digest.hexdigest()


def _quiet() -> None:
    """Lightning's notices say nothing a sweep's log needs."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*GPU available but not used.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message)

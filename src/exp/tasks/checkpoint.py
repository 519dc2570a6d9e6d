"""Weights in checkpoints: loading them, naming them by a hash, and the task of a finished cell that has them."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exp.cells.cell import read_json
from exp.options.catalog import restored
from exp.options.errors import ConfigError
from exp.tasks.adopted import Adopted
from exp.tasks.base import Task
from exp.tasks.build import build_task


def load_weights(task: Task | Adopted, path: str) -> None:
    """Loads the weights of a checkpoint that this project wrote.

    Raises:
        ConfigError: The file holds no such checkpoint, or one of another model.
    """
    try:
        task.load_state_dict(_read(path)["state_dict"])
    except RuntimeError as error:
        problem = str(error).split("\n\t")[1].strip() if "\n\t" in str(error) else str(error)
        raise ConfigError(f"ckpt={path}: another model's weights: {problem}") from error


def _read(path: str) -> dict[str, Any]:
    """Returns what a checkpoint holds; nothing it names is run.

    Raises:
        ConfigError: It is none.
    """
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"ckpt={path}: not a checkpoint of exp ({type(error).__name__})") from error
    if not isinstance(kept, dict) or not isinstance(kept.get("state_dict"), dict):
        raise ConfigError(f"ckpt={path}: not a checkpoint of exp (it has no state_dict)")
    return kept


def _classes(kept: dict[str, Any]) -> list[str] | None:
    """Returns the names of the classes that a checkpoint has, None where an earlier version wrote none."""
    names = kept.get("classes")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def weights_sha256(model: nn.Module) -> str:
    """Returns the hash of names, types, shapes and bytes of the state dict, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return digest.hexdigest()


def load_task(ckpt: str | None, name: str) -> Task:
    """Returns the task that a checkpoint belongs to, with its weights, ready to predict on the CPU.

    Args:
        ckpt: A cell's checkpoint; the cell's ``config.json`` has to lie beside it.
        name: The task that is expected.

    Raises:
        ConfigError: There is no such checkpoint, it belongs to another task, or to options that are no longer known.
    """
    if not ckpt:
        raise ConfigError(f"ckpt: give the checkpoint of a {name} cell, such as ckpt=multirun/{name}/CELL/best.ckpt")
    path = Path(ckpt).expanduser()
    if not path.is_file():
        raise ConfigError(f"ckpt={ckpt}: no such file")
    plain = (read_json(path.parent / "config.json") or {}).get("config", {})
    written_by = plain.get("task", {}).get("name")
    if written_by is None:
        raise ConfigError(f"ckpt={ckpt}: {path.parent} has no config.json; keep checkpoint and cell together")
    if written_by != name:
        raise ConfigError(f"ckpt={ckpt}: a checkpoint of task={written_by}, not of task={name}")
    task = build_task(restored(plain), _classes(_read(str(path))))
    if not isinstance(task, Task):
        raise ConfigError(f"task={name}: is a LightningModule of yours; load it with exp.Cell.at(...).load()")
    load_weights(task, str(path))
    return task.eval()

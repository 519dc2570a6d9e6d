"""Weights in checkpoints: loading them, naming them by a hash, and the task of a finished cell that has them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
    kept = _read(path)["state_dict"]
    if problem := misfit(task.lightning.state_dict(), kept):
        raise ConfigError(f"ckpt={path}: another model's weights: {problem}")
    task.load_state_dict(kept)


def misfit(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> str:
    """Returns the first weight that a network and a checkpoint do not share, and how many there are; empty for none.

    Args:
        ours: The network's state dict; shapes are enough.
        theirs: The checkpoint's.
    """
    problems = [
        f"{name} is {tuple(theirs[name].shape)} there and {tuple(value.shape)} here"
        for name, value in ours.items()
        if name in theirs and theirs[name].shape != value.shape
    ]
    problems += [f"{name} is not there" for name in ours if name not in theirs]
    problems += [f"{name} is not here" for name in theirs if name not in ours]
    return f"{problems[0]}{f', and {len(problems) - 1} more differ' if problems[1:] else ''}" if problems else ""


def read_checkpoint(path: str, where: str, *, shapes: bool = False) -> dict[str, Any]:
    """Returns what a file of torch's holds; nothing it names is run.

    Args:
        path: The file.
        where: The option that names it, for messages.
        shapes: Whether the shapes of its tensors are enough; their contents are not read then.

    Raises:
        ConfigError: It is none.
    """
    try:
        kept = torch.load(path, map_location="meta" if shapes else "cpu", mmap=shapes or None, weights_only=True)
    except Exception as error:
        raise ConfigError(f"{where}: not a checkpoint of exp or of weights alone") from error
    if not isinstance(kept, dict):
        raise ConfigError(f"{where}: not a checkpoint of exp or of weights alone (it holds a {type(kept).__name__})")
    return kept


def _read(path: str) -> dict[str, Any]:
    """Returns what a checkpoint of this project holds.

    Raises:
        ConfigError: It is none.
    """
    kept = read_checkpoint(path, f"ckpt={path}")
    if not isinstance(kept.get("state_dict"), dict):
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
        raise ConfigError(f"ckpt={ckpt}: no cell's config.json lies beside it; keep checkpoint and cell together")
    if written_by != name:
        raise ConfigError(f"ckpt={ckpt}: a checkpoint of task={written_by}, not of task={name}")
    task = build_task(restored(plain), _classes(_read(str(path))))
    if not isinstance(task, Task):
        raise ConfigError(f"task={name}: is a LightningModule of yours; load it with exp.Cell.at(...).load()")
    load_weights(task, str(path))
    return task.eval()

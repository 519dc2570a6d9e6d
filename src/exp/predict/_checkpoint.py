"""A task with a cell's tested weights, from the path of the cell's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp import registry
from exp.cell import read_json
from exp.config import ConfigError

if TYPE_CHECKING:
    from exp.tasks.base import Task


def load_task(ckpt: str | None, name: str) -> Task:
    """Builds the task that a checkpoint belongs to and loads its weights, ready to predict on the CPU.

    Args:
        ckpt: A cell's checkpoint; the cell's ``config.json`` has to lie beside it.
        name: The task that is expected.

    Raises:
        ConfigError: There is no such checkpoint, or it belongs to another task.
    """
    if not ckpt:
        raise ConfigError(f"ckpt: give the checkpoint of a {name} cell, such as ckpt=multirun/{name}/CELL/best.ckpt")
    path = Path(ckpt).expanduser()
    if not path.is_file():
        raise ConfigError(f"ckpt={ckpt}: no such file")
    config: dict[str, Any] = (read_json(path.parent / "config.json") or {}).get("config", {})
    found = config.get("task", {}).get("name")
    if found is None:
        raise ConfigError(f"ckpt={ckpt}: {path.parent} has no config.json; keep checkpoint and cell together")
    if found != name:
        raise ConfigError(f"ckpt={ckpt}: a checkpoint of task={found}, not of task={name}")
    from exp.train import build_task, load_weights

    task = build_task(config, registry.source(config["data"]))
    load_weights(task, str(path))
    return task.eval()

"""Cells on disk as a run leaves them, made quickly."""

import json
from pathlib import Path
from typing import Any

CONFIG = {
    "task": {"name": "attention"},
    "model": {"name": "resnet18"},
    "data": {"name": "digits"},
    "trainer": {"max_epochs": 4},
}

TAGS = "<img src=x onerror='window.hit = 1'><script>window.hit = 1</script>"
"""What a page must show as text."""

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)
"""A picture."""


def put(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def done(root: Path, name: str, top1: float = 90.0, **more: Any) -> Path:
    """A cell of the attention task that is done."""
    folder = root / "attention" / name
    put(folder / "status.json", {"state": "done", "attempt": 1, "first_started": 100.0, "updated": 130.0})
    put(
        folder / "result.json",
        {
            "test": {"top1": top1, "top5": 99.0, "loss": 0.1},
            "best": {"epoch": 2, "value": top1 + 1},
            "train_seconds": 20.0,
            "samples_seen": 4000,
            "epochs": 4,
            "config": CONFIG,
            "identity": {"task": {"name": "attention"}, "seed": 0},
            **more,
        },
    )
    return folder


def lines(folder: Path, values: list[float]) -> None:
    """metrics.jsonl with a training and an evaluation line an epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "metrics.jsonl", "a") as file:
        for epoch, value in enumerate(values):
            step = 10 * (epoch + 1)
            file.write(json.dumps({"split": "val", "epoch": epoch, "step": step, "time": 1.0, "top1": value}) + "\n")
            line = {
                "split": "train",
                "epoch": epoch,
                "step": step,
                "time": 1.0,
                "loss": 1 / (epoch + 1),
                "seconds": 3.0,
            }
            file.write(json.dumps(line) + "\n")

"""Looks a task over before it is trusted with days: its data, whether it learns and goes on exactly, how fast it is."""

import hashlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from exp.cells.cell import Cell
from exp.cells.metrics_file import read_metrics
from exp.options.errors import CellFailed
from exp.options.resolve import Resolved
from exp.run.job import run_cell

STEPS = (200, 600)
"""Steps in which one batch is learnt by heart; the second number for what has begun to."""
LEARNT, BEGUN = 0.5, 0.9
"""Parts of the first loss below which the last one has to be."""
BATCHES = 4
"""Batches of an epoch of the run that is stopped and gone on with."""

Make = Callable[[list[str]], Resolved]
"""Resolves the task's overrides with further ones."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and a sentence about it."""

    subject: str
    state: Literal["ok", "bad", "unknown"]
    text: str


def look_over(make: Make) -> Iterator[Finding]:
    """Looks at a task, thing by thing.

    Args:
        make: Resolves the task's overrides with further ones.

    Raises:
        CellFailed: A short run of the task fails; the message says why.
    """
    yield _data(make([]))
    with tempfile.TemporaryDirectory() as folder:
        short = [f"cells.dir={folder}", "trainer.log_every=1", "cells.keep=last+best"]
        yield _learns(lambda words: make([*short, "trainer.overfit_batches=1", *words]))
        few = [*short, f"trainer.overfit_batches={BATCHES}", "trainer.max_epochs=2"]
        whole = make(few)
        yield _goes_on(whole, make([*few, f"cells.dir={folder}/stopped"]))
        yield _time(whole, make([]))


def _data(resolved: Resolved) -> Finding:
    """Counts the samples of each part, and those of the test part that are in the training part too."""
    reader = resolved.config.data.reader()
    parts = reader.load() if hasattr(reader, "load") else {}
    rows = {part: array for part, values in parts.items() if (array := _rows(values)) is not None}
    if not {"train", "test"} <= set(rows) or len(rows) < len(parts):
        return Finding("data", "unknown", "not looked at: its samples are no arrays in memory")
    digests = {part: [_digest(row) for row in values] for part, values in rows.items()}
    counts = ", ".join(f"{len(values)} {part}" for part, values in digests.items())
    seen = set(digests["train"])
    twice = sum(digest in seen for digest in digests["test"])
    if twice:
        return Finding("data", "bad", f"{counts}; {twice} of the test samples are among the training samples")
    return Finding("data", "ok", f"{counts}; no test sample is among the training samples")


def _rows(part: Any) -> np.ndarray | None:
    values = part[0] if isinstance(part, tuple) else getattr(part, "images", None)
    return values if isinstance(values, np.ndarray) else None


def _digest(row: Any) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=12).digest()


def _learns(make: Make) -> Finding:
    """Trains on one batch again and again."""
    text = ""
    for steps in STEPS:
        resolved = make([f"trainer.max_epochs={steps}", f"trainer.check_val_every_n_epoch={steps}"])
        losses = [line["loss"] for line in _trained(resolved) if line["split"] == "train"]
        first, last = losses[0], losses[-1]
        text = f"one batch again and again: loss {first:.4g} to {last:.4g} in {len(losses)} steps"
        if last is not None and last < LEARNT * first:
            return Finding("learns", "ok", text)
        if last is None or not last < BEGUN * first:
            return Finding(
                "learns", "bad", f"{text}; it hardly falls: a larger optim.lr, or does the loss reach the net?"
            )
    return Finding("learns", "unknown", f"{text}; it falls, slowly: a larger optim.lr or no dropout would tell more")


def _goes_on(whole: Resolved, stopped: Resolved) -> Finding:
    """Trains twice, once with a stop in between, and compares the weights."""
    _trained(whole)

    def stop(progress: dict[str, Any]) -> None:
        if progress["epoch"] == 1 and not asked:
            asked.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    asked: list[bool] = []
    run_cell(stopped, command="exp check", report=stop)
    _trained(stopped)
    weights = [(Cell.of(one).result() or {}).get("weights_sha256") for one in (whole, stopped)]
    if weights[0] == weights[1]:
        return Finding(
            "resumes", "ok", "stopped in the second epoch and gone on with: the same weights to the last bit"
        )
    return Finding(
        "resumes", "bad", "stopped in the second epoch and gone on with: other weights than without the stop"
    )


def _time(short: Resolved, full: Resolved) -> Finding:
    """Scales the time of the last epoch of the short run to a whole one."""
    result = Cell.of(short).result() or {}
    seconds = [line["seconds"] for line in _trained(short) if line["split"] == "train"][-1]
    samples = result["samples_seen"] / result["epochs"]
    epochs = full.config.trainer.max_epochs
    speed = samples / max(seconds, 1e-9)
    return Finding(
        "time", "ok", f"{speed:,.0f} samples a second in training on {result['device']}; {epochs} epochs a run"
    )


def _trained(resolved: Resolved) -> list[dict[str, Any]]:
    state = run_cell(resolved, command="exp check")
    cell = Cell.of(resolved)
    if state != "done":
        raise CellFailed(f"a short run ended as {state}: {cell.status().get('error', '')}")
    return read_metrics(cell.path / "metrics.jsonl")

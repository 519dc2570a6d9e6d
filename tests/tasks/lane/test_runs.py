"""A lane cell that is stopped, spread over two processes, in half precision, compiled; what the screen shows of it."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exp.callbacks.checkpoint import Interrupted, Keeper
from exp.cells.cell import Cell
from exp.cells.metrics_file import read_metrics
from exp.options.catalog import TASKS
from exp.options.compose import resolved
from exp.run import train as training
from exp.run.console import Console
from exp.run.job import run_cell
from tests.conftest import exp, results
from tests.tasks.lane.test_module import TINY

Train = Callable[..., dict[str, Any]]

DRAWN = [
    "y_loss=staged", "scheduled_sampling=true", "task.sampling_ramp=[0,1]", "rollout=0.3", "lane_batch=3",
    "model.dropout=0.1", "data.flip=0.5", "data.rotate=5", "data.shift=0.05", "trainer.accumulate=2",
]  # fmt: skip
"""Everything in a lane cell that draws numbers or keeps a state."""


def run(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = training.run(resolved([*TINY, *DRAWN]).config, folder, threads=1)
    lines = [
        {name: math.nan if value is None else value for name, value in line.items() if name not in ("time", "seconds")}
        for line in read_metrics(folder / "metrics.jsonl")
    ]
    return result, lines


@pytest.mark.slow
def test_stopped_within_an_epoch_it_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, lines = run(tmp_path / "whole")
    original = Keeper.on_train_batch_end

    def stopping(keeper: Keeper, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 1):
            keeper._stop = True
        original(keeper, trainer, module, outputs, batch, batch_idx)

    monkeypatch.setattr(Keeper, "on_train_batch_end", stopping)
    with pytest.raises(Interrupted):
        run(tmp_path / "cell")
    monkeypatch.undo()
    again, kept = run(tmp_path / "cell")
    assert again["weights_sha256"] == whole["weights_sha256"]
    assert again["samples_seen"] == whole["samples_seen"] == 2 * 12
    assert [line.pop("split") for line in kept] == [line.pop("split") for line in lines]
    for ours, theirs in zip(kept, lines, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


@pytest.mark.slow
def test_two_ranks_are_one(tmp_path: Path) -> None:
    words = [*TINY, "data.train_images=11", "data.flip=0.5", "optim.name=sgd", "optim.momentum=0", "lr=1e-2",
             "weight_decay=0", "optim.warmup=0", "trainer.log_every=1"]  # fmt: skip
    done = exp("--multirun", *words, "trainer.devices=1,2", "cells.dir=cells", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = sorted(results(tmp_path / "cells"), key=lambda run: run["world_size"])
    assert (one["world_size"], two["world_size"]) == (1, 2)
    assert one["samples_seen"] == two["samples_seen"] == 2 * 11
    curves = [
        [line["loss"] for line in read_metrics(next(tmp_path.glob(f"cells/*/*-{run['key']}")) / "metrics.jsonl")]
        for run in (one, two)
    ]
    torch.testing.assert_close(torch.tensor(curves[0]), torch.tensor(curves[1]), rtol=1e-3, atol=1e-4)
    # Each rank swaps the images it has and probes one batch of its own; everything else is a sum over both.
    for name in ("loss", "tf_acc", "ar_acc", "f1_50", "mf1", "pixel_error", "zigzag", "first_mismatch", "lanes"):
        assert two["test"][name] == pytest.approx(one["test"][name], rel=0.02, abs=0.02, nan_ok=True), name


def test_half_precision_steps_are_finite(train: Train) -> None:
    result = train(*TINY, "trainer.precision=bf16-mixed", "clip=0.5", "rollout=0.3", tiny=False)
    lines = read_metrics(result["path"] / "metrics.jsonl")
    assert all(line["loss"] is not None for line in lines)
    trained = [line["loss"] for line in lines if line["split"] == "train"]
    assert len(trained) == 2
    assert trained[1] < trained[0]


@pytest.mark.slow
def test_compiled_it_learns_the_same(train: Train) -> None:
    once = [*TINY, "model.layers=1", "trainer.max_epochs=1"]
    plain = train(*once, tiny=False)
    compiled = train(*once, "trainer.compile=true", tiny=False)
    assert "test" in compiled, compiled
    losses = [
        next(line["loss"] for line in read_metrics(run["path"] / "metrics.jsonl") if line["split"] == "train")
        for run in (plain, compiled)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert compiled["test"]["loss"] == pytest.approx(plain["test"]["loss"], rel=0.05)


def test_the_screen_shows_the_headline_and_the_file_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = resolved([*TINY, "data.overfit=2", "data.repeat=2", f"cells.dir={tmp_path}"])
    console = Console(Cell.of(one), "test")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run_cell(one, command="test", report=console.progress) == "done"
    console.end("done")
    lines = capsys.readouterr().out.splitlines()
    epochs = [line.split() for line in lines if line.startswith("epoch ")]
    assert [words[1] for words in epochs] == ["1/2", "2/2"]
    assert tuple(epochs[0][2::2]) == TASKS["lane"].headline
    tested = next(line.split() for line in lines if line.startswith("test "))
    assert tuple(tested[1::2]) == tuple(name for name in TASKS["lane"].headline if name != "train_loss")
    test = read_metrics(Cell.of(one).path / "metrics.jsonl")[-1]
    assert {"uniformity", "ceiling_f1_90", "first_mismatch", *tested[1::2]} < test.keys()
    # A model that finds no lane has no pixel error; JSON has no nan, and the line must not fail over it.
    assert (test["pixel_error"] is None) == (tested[tested.index("pixel_error") + 1] == "nan")

"""Options that have the names of Lightning's Trainer: what they do, that a stopped run goes on exactly, what is refused."""

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch

from exp.callbacks.checkpoint import Interrupted
from exp.callbacks.own import own_callbacks
from exp.cells.metrics_file import read_metrics
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.run import train as training
from exp.tasks.attention.module import Attention
from exp.tasks.base import Task
from exp.tasks.fer.module import Fer
from tests.conftest import TINY

Train = Callable[..., dict[str, Any]]
SHORT = [word for word in TINY if "max_epochs" not in word]


class Stopper(pl.Callback):
    """Raises a SIGTERM in this process after a given micro-batch of a given epoch."""

    at = (-1, -1)

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        """Raises it."""
        if (trainer.current_epoch, rest[-1]) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def run(folder: Path, words: list[str], at: tuple[int, int] = (-1, -1)) -> dict[str, Any]:
    Stopper.at = at
    config = resolved([*SHORT, *words, "callbacks.use={stop: {target: 'tests.run.test_flags:Stopper'}}"]).config
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return training.run(config, folder, threads=1)


def lines(folder: Path) -> list[dict[str, Any]]:
    dropped = ("time", "seconds")
    return [{k: v for k, v in line.items() if k not in dropped} for line in read_metrics(folder / "metrics.jsonl")]


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.max_epochs=3", "trainer.val_check_interval=2", "trainer.ema=0.5", "trainer.log_every=1"],
        *(
            pytest.param(words, marks=pytest.mark.slow)
            for words in (
                ["trainer.max_epochs=9", "trainer.max_steps=8", "trainer.limit_val_batches=1"],
                ["trainer.max_epochs=2", "trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_val=0.01",
                 "trainer.accumulate_grad_batches=2", "trainer.deterministic=true", "trainer.detect_anomaly=true"],
                ["trainer.max_epochs=4", "trainer.check_val_every_n_epoch=2", "trainer.limit_train_batches=4"],
                ["trainer.max_epochs=2", "trainer.precision=64-true", "trainer.limit_test_batches=1"],
                ["trainer.max_epochs=2", "trainer.precision=bf16-true", "att=se"],
                ["trainer.max_epochs=2", "trainer.max_time=00:10:00:00", "trainer.patience=3"],
            )
        ),
    ],
    ids=lambda words: words[1].partition("=")[0],
)  # fmt: skip
def test_a_stopped_run_goes_on_exactly(words: list[str], tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", words)
    with pytest.raises(Interrupted):
        run(tmp_path / "halves", words, at=(1, 1))
    halves = run(tmp_path / "halves", words)
    torch.use_deterministic_algorithms(False)
    for name in ("weights_sha256", "test", "best", "epochs", "samples_seen"):
        assert halves[name] == whole[name], name
    assert [line.pop("split") for line in lines(tmp_path / "halves")] == [
        line.pop("split") for line in lines(tmp_path / "whole")
    ]
    again = run(tmp_path / "whole", words)  # as after a kill between the last step and the test
    torch.use_deterministic_algorithms(False)
    assert again["weights_sha256"] == whole["weights_sha256"]
    assert again["epochs"] == whole["epochs"]


@pytest.mark.slow
def test_steps_end_training_within_an_epoch_after_a_validation(train: Train) -> None:
    result = train("trainer.max_steps=7", "trainer.max_epochs=9", "trainer.log_every=1")
    written = read_metrics(result["path"] / "metrics.jsonl")
    assert [(line["split"], line["step"]) for line in written][-3:] == [("val", 7), ("train", 7), ("test", 7)]
    assert result["best"] is not None


def test_time_ends_training_after_a_validation(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.callbacks.checkpoint.Keeper.train_seconds", 3600.0)
    result = train("trainer.max_time=00:01:00:00", "trainer.max_epochs=9", anew=True)
    assert result["epochs"] == 0  # by this clock the time is up before the first step
    assert result["best"] is None
    assert "test" in result


def test_validation_within_an_epoch_and_fewer_batches(train: Train) -> None:
    result = train("trainer.val_check_interval=2", "trainer.limit_train_batches=4", "trainer.max_epochs=2")
    written = read_metrics(result["path"] / "metrics.jsonl")
    assert [(line["split"], line["step"]) for line in written if line["split"] in ("val", "train")] == [
        ("val", 2), ("val", 4), ("train", 4), ("val", 6), ("val", 8), ("train", 8),
    ]  # fmt: skip
    assert result["samples_seen"] < 2 * 1222


def test_other_spellings_are_the_same_cell() -> None:
    ours = resolved(["trainer.accumulate=4", "optim.clip=0.5"])
    theirs = resolved(["trainer.accumulate_grad_batches=4", "trainer.gradient_clip_val=0.5"])
    assert ours.key == theirs.key
    assert (theirs.config.trainer.accumulate, theirs.config.optim.clip) == (4, 0.5)
    with pytest.raises(ConfigError, match="accumulate_grad_batches=4 and trainer.accumulate=2: the same option"):
        resolved(["trainer.accumulate_grad_batches=4", "trainer.accumulate=2"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.accelerator=mps"], "accelerator=mps: losses and scores are summed in float64"),
        (["trainer.strategy=fsdp"], "strategy=fsdp: weights that are cut up cannot be kept as best.ckpt"),
        (["trainer.strategy=ddp_spawn"], "strategy=ddp_spawn: a cell starts its ranks itself; take ddp"),
        (["trainer.num_nodes=2"], "num_nodes=2: give the devices of all nodes together in trainer.devices"),
        (["trainer.max_time=3h"], "max_time=3h: has to be DD:HH:MM:SS"),
        (["trainer.limit_train_batches=0"], "limit_train_batches=0: has to be a number of batches from 1 up"),
        (["trainer.limit_val_batches=1.5"], "limit_val_batches=1.5: has to be"),
        (["optim.clip=0", "trainer.gradient_clip_algorithm=value"], "nothing is clipped; set optim.clip"),
        (["callbacks.use={a: {monitor: x}}"], "callbacks.use={'a': {'monitor': 'x'}}: has to be names with a target"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(words)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "lightning.pytorch.callbacks:EMAWeightAveraging"}, "take trainer.ema=DECAY"),
        ({"target": "lightning.pytorch.callbacks:StochasticWeightAveraging", "swa_lrs": 0.1}, "does not go on"),
        ({"target": "lightning.pytorch.callbacks:BatchSizeFinder"}, "set data.batch_size"),
        (
            {"target": "lightning.pytorch.callbacks:EarlyStopping", "patient": 3},
            "cannot be built .TypeError: .*patient",
        ),
        ({"target": "nowhere.callbacks:Mine"}, "cannot be built .ModuleNotFoundError"),
        ({"target": "torch.nn:Identity"}, "makes a Identity, not a Lightning callback"),
    ],
)
def test_callbacks_that_cannot_work_are_refused_in_a_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        own_callbacks({"mine": given})


class Listener(pl.Callback):
    """Notes what user callbacks can see and log."""

    seen: ClassVar[set[str]] = set()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any) -> None:
        """Logs a number of its own."""
        pl_module.log("mine", float(trainer.global_step))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Notes the metrics."""
        Listener.seen = set(trainer.callback_metrics)


def test_callbacks_see_metrics_stop_runs_and_log(train: Train) -> None:
    result = train(
        "trainer.max_epochs=9",
        "trainer.log_every=2",
        "lr=0.0",
        "callbacks.use={mine: {target: 'tests.run.test_flags:Listener'},"
        " stop: {target: 'lightning.pytorch.callbacks:EarlyStopping', monitor: val/loss, patience: 1, min_delta: 100},"
        " kept: {target: 'lightning.pytorch.callbacks:ModelCheckpoint', monitor: val/top1, mode: max}}",
    )
    assert {"val/top1", "val/top5", "val/loss", "train/loss", "train/lr", "step/loss", "mine"} <= Listener.seen
    assert result["epochs"] == 2
    written = read_metrics(result["path"] / "metrics.jsonl")
    mine = [line for line in written if line["split"] == "callbacks"]
    assert [line["mine"] for line in mine] == [line["step"] for line in mine]
    assert len(mine) >= 4
    assert list(result["path"].rglob("epoch=*.ckpt"))


@pytest.mark.slow
def test_a_checkpoint_is_loaded_as_lightnings_users_do(train: Train) -> None:
    result = train("att=se", "trainer.ema=0.9")
    for kind in (Attention, Task):
        task = kind.load_from_checkpoint(result["path"] / "best.ckpt")
        assert isinstance(task, Attention)
        assert task.config.att.name == "se"
    kept = torch.load(result["path"] / "best.ckpt", weights_only=True)
    assert type(kept["hyper_parameters"]) is dict
    assert kept["hyper_parameters"]["config"]["model"]["width"] == 4
    for name, value in task.state_dict().items():
        assert torch.equal(value, kept["state_dict"][name])
    assert Attention.load_from_checkpoint(result["path"] / "last.ckpt").hparams["config"]["seed"] == 0
    with pytest.raises(TypeError, match="a checkpoint of Attention, not of Fer"):
        Fer.load_from_checkpoint(result["path"] / "best.ckpt")

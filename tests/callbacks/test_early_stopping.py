"""Early stopping: when it stops, what it keeps, and that a killed run trains no further."""

import warnings
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from exp.callbacks.early_stopping import ResumableEarlyStopping
from exp.cells.metrics_file import read_metrics
from exp.options.catalog import restored
from exp.run import train as training


def stopped_after(values: list[float], *, patience: int, mode: str = "max") -> int | None:
    callback = ResumableEarlyStopping(patience=patience, monitor="val/m", mode=mode)
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", devices=1)
    trainer.state.fn = TrainerFn.FITTING
    for epoch, value in enumerate(values, start=1):
        trainer.callback_metrics["val/m"] = torch.tensor(value, dtype=torch.float64)
        callback.on_validation_end(trainer, pl.LightningModule())
        if trainer.should_stop:
            return epoch
    return None


@pytest.mark.parametrize(
    ("values", "patience", "epoch"),
    [
        ([1, 2, 3, 4], 1, None),
        ([1, 2, 2, 3], 1, 3),  # as good is not better
        ([5, 4, 3, 6, 5, 5], 2, 3),
        ([5, 4, 6, 5, 5], 2, 5),
        ([5, 4, 4, 6, 7], 3, None),
    ],
)
def test_it_stops_after_so_many_epochs_without_a_better_one(
    values: list[float], patience: int, epoch: int | None
) -> None:
    assert stopped_after(values, patience=patience) == epoch
    assert stopped_after([-value for value in values], patience=patience, mode="min") == epoch


def test_a_metric_without_a_value_is_no_better() -> None:
    assert stopped_after([1, float("nan"), 2, float("nan"), float("nan")], patience=2) == 5


def test_a_run_that_had_stopped_stops_again() -> None:
    first, second = (ResumableEarlyStopping(patience=3, monitor="val/m", mode="max") for _ in range(2))
    first.wait_count = 3
    second.load_state_dict(first.state_dict())
    trainer: Any = SimpleNamespace(should_stop=False)
    second.on_train_start(trainer, pl.LightningModule())
    assert trainer.should_stop


@pytest.mark.slow
def test_a_run_that_gets_no_better_ends_early(train: Any) -> None:
    result = train("trainer.max_epochs=15", "trainer.patience=1", "lr=0.0")  # only batch norm's statistics move
    values = [line["top1"] for line in read_metrics(result["path"] / "metrics.jsonl") if line["split"] == "val"]
    assert result["epochs"] == len(values) < 15
    assert result["samples_seen"] == len(values) * 1222
    assert values[:-1] == sorted(set(values[:-1]))
    assert values[-1] <= values[-2] == result["best"]["value"]
    # Killed between the last epoch and the test, it trains no further.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        again = training.run(restored(result["config"]), result["path"], threads=1)
    for name in ("test", "best", "epochs", "samples_seen", "weights_sha256"):
        assert again[name] == result[name]

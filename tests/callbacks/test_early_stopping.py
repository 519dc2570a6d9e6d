"""Early stopping: when it stops, what it keeps, and that a killed run trains no further."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from exp.callbacks.early_stopping import EarlyStopping
from exp.cells.metrics_file import read_metrics
from exp.options.catalog import restored
from exp.options.compose import resolved
from exp.run import train as training
from exp.tasks.fer.module import Fer


def stopped_after(values: list[float], *, patience: int, mode: str = "max") -> int | None:
    callback = EarlyStopping(patience=patience, monitor="m", mode=mode)
    trainer: Any = SimpleNamespace(should_stop=False)
    module = Fer.__new__(Fer)
    module.__dict__.update(latest={}, config=resolved(["task=fer"]).config)
    for epoch, value in enumerate(values, start=1):
        module.latest["val"] = {"m": value}
        callback.on_validation_end(trainer, module)
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


def test_what_was_counted_goes_through_a_checkpoint() -> None:
    first, second = (EarlyStopping(patience=3, monitor="m", mode="max") for _ in range(2))
    first.best, first.waited = 4.0, 3
    checkpoint: dict[str, Any] = {}
    trainer: Any = SimpleNamespace(should_stop=False)
    first.on_save_checkpoint(trainer, None, checkpoint)  # type: ignore[arg-type]
    second.on_load_checkpoint(trainer, None, checkpoint)  # type: ignore[arg-type]
    assert (second.best, second.waited) == (4.0, 3)
    second.on_train_start(trainer, None)  # type: ignore[arg-type]
    assert trainer.should_stop


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

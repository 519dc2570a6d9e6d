import csv
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from exp.callbacks.mirror import Mirror, group_of
from exp.cells.cell import Cell
from exp.cells.metrics_file import MetricsFile, read_metrics
from exp.options.catalog import ConfigError
from exp.options.compose import resolved

Train = Callable[..., dict[str, Any]]


def test_lightnings_csv_logger_has_every_line(train: Train) -> None:
    result = train("logger=csv")
    rows = list(csv.DictReader((result["path"] / "csv" / "metrics.csv").read_text().splitlines()))
    lines = read_metrics(result["path"] / "metrics.jsonl")
    losses = [line["loss"] for line in lines if line["split"] == "train"]
    assert [float(row["train/loss"]) for row in rows if row.get("train/loss")] == losses
    assert (result["path"] / "csv" / "hparams.yaml").is_file()


@pytest.mark.extras
def test_tensorboard_has_options_with_the_tests_metrics_and_pictures(train: Train) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = train("logger=tensorboard", "trainer.max_epochs=1")
    events = event_accumulator.EventAccumulator(str(result["path"] / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["images"]) == ["media/confident", "media/confusion", "media/mistakes"]
    assert events.Scalars("final/top1")[-1].value == pytest.approx(result["test"]["top1"], rel=1e-6)
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_tensorboard_is_lightnings_too_or_refused_before_anything_runs(train: Train) -> None:
    if find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
        with pytest.raises(ConfigError, match="pip install tensorboard"):
            resolved(["logger=tensorboard"])
        return
    result = train("logger=tensorboard", "trainer.max_epochs=1")
    assert list((result["path"] / "tensorboard").glob("events.out.*"))


def test_no_logger_leaves_nothing_but_the_cells_own_files(train: Train) -> None:
    result = train("trainer.max_epochs=1")
    assert not {"wandb", "csv", "tensorboard"} & {path.name for path in result["path"].iterdir()}


class Failing:
    """A view of another project that fails at one of its calls, or writes down what it was told."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.told: list[str] = []

    def _do(self, call: str) -> None:
        self.told.append(call)
        if call == self.fails:
            raise OSError(f"no {call}\nsecond line")

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        self._do("write")

    def watch(self, model: Any) -> None:
        self._do("watch")

    def close(self, state: str, result: Any, pictures: Any) -> None:
        self._do("close")


@pytest.mark.parametrize("fails", ["open", "write", "close"])
def test_a_view_that_fails_keeps_the_others(
    fails: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cell = Cell.of(resolved(["logger=wandb+csv"]), tmp_path)
    cell.path.mkdir(parents=True)
    views = {"wandb": Failing(fails), "csv": Failing()}

    def opened(mirror: Mirror, name: str) -> Failing:
        if name == "wandb" and fails == "open":
            raise OSError("no open\nsecond line")
        return views[name]

    monkeypatch.setattr(Mirror, "_opened", opened)
    with Mirror(cell, "test") as mirror:
        assert mirror.callbacks == [mirror]
        MetricsFile(cell.path / "metrics.jsonl").write(split="train", epoch=0, step=1, loss=0.5)
        MetricsFile(cell.path / "metrics.jsonl").write(split="train", epoch=1, step=2, loss=0.25)
    assert views["csv"].told == ["write", "write", "close"]
    assert views["wandb"].told == {"open": [], "write": ["write"], "close": ["write", "write", "close"]}[fails]
    what = {"open": "be opened", "write": "be written to", "close": "be closed"}[fails]
    assert caplog.messages == [f"logger=wandb cannot {what} (no {fails}); the metrics are in metrics.jsonl"]


def test_a_run_is_grouped_by_its_table_else_by_its_sweep(tmp_path: Any) -> None:
    alone = Cell.of(resolved([]), tmp_path)
    assert group_of(alone, "exp att=ca") is None
    sweep = group_of(alone, "exp --multirun att=ca,none")
    assert sweep is not None
    assert sweep.startswith("sweep-")
    assert group_of(alone, "exp --multirun att=ca,lka") != sweep
    assert group_of(Cell.of(resolved(["origin.table=gate"]), tmp_path), "exp --multirun table=gate") == "gate"


def test_the_logger_is_no_part_of_a_cells_identity() -> None:
    assert resolved(["logger=wandb", "origin.table=x"]).key == resolved([]).key
    with pytest.raises(ConfigError, match="logger.project=p: nothing reads it here; it needs logger.name with wandb"):
        resolved(["logger.project=p"])

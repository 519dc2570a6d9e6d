"""Metrics of plug-ins beside a task's own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from exp.metrics import TopK
from exp.options import catalog
from exp.options.catalog import monitored, refuse_metrics
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.options.parts import MetricOptions
from exp.tables.adhoc import column_of
from exp.tasks.build import build_task
from exp.tasks.further import WithFurther, build_further

LOGITS, LABELS, LOSSES = tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]), tensor([0, 1]), tensor([0.25, 0.75])


class Quartiles(Metric):
    """A metric of several numbers."""

    full_state_update = False
    total: Tensor

    def __init__(self, source: Any = None) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor, losses: Tensor) -> None:
        self.total += losses.sum()

    def compute(self) -> dict[str, Tensor]:
        return {"low": self.total / 4, "high": self.total * 3 / 4}


class Accuracy(MulticlassAccuracy):
    """One that says that more is better."""

    def __init__(self, source: Any) -> None:
        super().__init__(3)


def test_each_is_given_as_many_arguments_as_it_needs() -> None:
    further = {"accuracy": MulticlassAccuracy(3, average="micro"), "quartiles": Quartiles()}
    further["accuracy"].update(LOGITS, tensor([2, 2]))  # of another evaluation, which does not count
    scores = WithFurther(TopK(3), further)
    for _ in range(2):
        scores.update(LOGITS, LABELS, LOSSES)
    assert scores.compute() == {
        "top1": 50.0, "top5": 100.0, "loss": 0.5, "accuracy": 0.5, "quartiles_low": 0.5, "quartiles_high": 1.5,
    }  # fmt: skip
    assert scores.confusion()[0] == [2, 0, 0]  # what else is asked for is the task's own


@pytest.mark.parametrize(
    ("name", "metric", "complaint"),
    [
        ("mean", MeanMetric(), r"metrics=mean: gives \(3,\); return one number"),
        ("top1", MulticlassAccuracy(3), "metrics=top1: the task reports a top1 of its own"),
    ],
)
def test_what_is_no_score_is_refused(
    name: str, metric: Metric, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "mean":
        monkeypatch.setattr(metric, "compute", lambda: torch.zeros(3))
    scores = WithFurther(TopK(3), {name: metric})
    scores.update(LOGITS, LABELS, LOSSES)
    with pytest.raises(ConfigError, match=complaint):
        scores.compute()


def test_a_metric_that_needs_more_than_the_task_gives() -> None:
    class Few(Metric):
        full_state_update = False

        def update(self, rows: Tensor) -> None:
            pass

        def compute(self) -> float:
            return 0.0

    with pytest.raises(ConfigError, match="metrics=q: its update needs 3 arguments, the task gives 1"):
        WithFurther(Few(), {"q": Quartiles()}).update(LOGITS)


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def declared(name: str, builds: str = f"{__name__}:Quartiles", kind: str = "images", mode: str = "max") -> None:
        schema = type("Own", (MetricOptions,), {"name": name, "builds": builds, "kind": kind, "mode": mode})
        monkeypatch.setitem(catalog.METRICS, name, schema)

    return declared


def test_which_metrics_a_task_may_have(declare: Callable[..., None]) -> None:
    declare("quartiles")
    declare("steps", kind="walks")
    declare("top1")
    cell = resolved(["metrics=quartiles"])
    assert cell.identity["task"] == {"name": "attention", "metrics": "quartiles"}
    assert cell.config.task.further == ("quartiles",)
    assert resolved(["metrics=none"]).key == resolved([]).key
    for words, complaint in (
        (["metrics=quartile"], "no metric quartile; there are .*did you mean 'quartiles'"),
        (["metrics=steps"], "steps is for walks, but task=attention works on images"),
        (["metrics=top1"], "task=attention reports a top1 of its own"),
        (["metrics=quartiles+quartiles"], "each once"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            resolved(words)
    refuse_metrics(cell.config.task)
    shown = resolved(["task=lane"]).config.task.shown({"f1_50": 1.0, "token_std": 2.0, "quartiles": 3.0})
    assert list(shown) == ["f1_50", "quartiles"]  # those of plug-ins are always shown, of the task's its headline


def test_a_metric_of_a_plug_in_chooses_the_epoch(declare: Callable[..., None]) -> None:
    declare("quartiles", mode="min")
    declare("quartiles_high")
    own = resolved([]).config.task
    assert (monitored(own), own.logged()) == (("top1", "max"), "val/top1")
    cell = resolved(["metrics=quartiles", "best=quartiles_low"])
    assert cell.identity["task"] == {"name": "attention", "metrics": "quartiles", "best": "quartiles_low"}
    assert (monitored(cell.config.task), cell.config.task.logged()) == (("quartiles_low", "min"), "val/quartiles_low")
    assert monitored(type(own), "quartiles_high") == ("quartiles_high", "max")  # the longest name that fits
    assert resolved(["best=top1"]).key == resolved([]).key
    for words, complaint in (
        (
            ["best=quartiles"],
            "best=quartiles: the epoch is chosen by the task's own top1 or .*metrics=quartiles adds it",
        ),
        (["best=loss"], "best=loss: .* here top1$"),
        (["metrics=quartiles", "best=quartile"], "here top1, quartiles; did you mean 'quartiles'"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            resolved(words)


def test_what_is_better_is_as_the_metric_has_it(declare: Callable[..., None]) -> None:
    declare("accuracy", f"{__name__}:Accuracy", mode="min")
    with pytest.raises(ConfigError, match=r'higher_is_better = True; write mode = "max"'):
        build_further(("accuracy",), {})
    declare("quartiles", mode="min")  # says nothing of its own
    assert list(build_further(("quartiles",), {})) == ["quartiles"]


def test_the_columns_of_a_sweep_know_what_is_better(declare: Callable[..., None]) -> None:
    declare("quartiles", mode="min")
    task = type(resolved([]).config.task)
    assert not column_of("quartiles_low", task).higher
    assert column_of("top5", task).higher
    less = ("val_loss", "nll", "mae", "test_rmse", "top1_error", "ece", "gap")
    assert not any(column_of(name, task).higher for name in less)
    assert all(column_of(name, task).higher for name in ("piece", "recall", "lossless", "f1_50"))


def test_a_network_is_built_without_the_plug_in_that_measured_it(
    declare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("quartiles")
    config = resolved(["metrics=quartiles", "width=4"]).config
    monkeypatch.delitem(catalog.METRICS, "quartiles")
    task = build_task(config)
    with pytest.raises(ConfigError, match="metrics=quartiles: is of a plug-in that is not active"):
        task.on_validation_epoch_start()


@pytest.mark.parametrize(
    ("builds", "complaint"),
    [
        ("exp.nowhere:Thing", "exp.nowhere:Thing cannot be built .ModuleNotFoundError"),
        ("builtins:int", "builtins:int cannot be built .TypeError"),
        ("builtins:str", "builtins:str makes a str, not a torchmetrics.Metric"),
    ],
)
def test_one_that_cannot_be_built(builds: str, complaint: str, declare: Callable[..., None]) -> None:
    declare("broken", builds)
    with pytest.raises(ConfigError, match=f"metrics=broken: {complaint}"):
        build_further(("broken",), {})

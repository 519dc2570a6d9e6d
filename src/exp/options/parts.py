"""The parts of a run for which there are choices: task, model, attention block and data set."""

import importlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from typing_extensions import Self

from exp.options.errors import ConfigError
from exp.options.fields import Options, fields, option

if TYPE_CHECKING:
    from exp.options.config import Config

Mode = Literal["max", "min"]
"""Whether more or less of a metric is better."""

OWN = "own"
"""``best=own``: the best epoch is chosen by the task's own metric."""

Placement = Literal["branch_end", "branch_mid", "block_start", "block_end", "stage_end", "between_stages"]


class Part(Options):
    """A choice of one part of a run, with its options."""

    name: ClassVar[str]
    """What the choice is called: ``att=NAME``."""
    builds: ClassVar[str]
    """``package.module:Class``, what takes these options; imported when built, so that planning needs no torch."""

    @classmethod
    def taken(cls) -> set[str]:
        """Returns the names that no option of a choice may have, since they are attributes that a choice declares."""
        named = {name for one in cls.__mro__ for name in (*vars(one), *vars(one).get("__annotations__", {}))}
        return {name for name in named if not name.startswith("_")} - {*fields(cls)}

    @classmethod
    def builder(cls) -> Any:
        """Imports and returns what takes these options."""
        module, _, attribute = cls.builds.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def settled(self, config: "Config") -> Self:
        """Returns these options with what was left open decided by the other parts."""
        return self

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        return None


def _metrics(value: str) -> str | None:
    names = value.split("+")
    return None if all(names) and len({*names}) == len(names) else "none, or names joined by +, each once"


class TaskOptions(Part):
    """What every task has. ``builds`` names the task's LightningModule."""

    kind: ClassVar[str]
    """What the task works on, such as images; models and data sets of the same kind fit."""
    measured_as: ClassVar[str] = ""
    """What metrics of plug-ins have to be for to fit; the task's kind where empty."""
    monitor: ClassVar[str]
    """Metric by which the best epoch is chosen, unless ``best`` names another."""
    mode: ClassVar[Mode]
    """Whether more of that metric is better."""
    headline: ClassVar[tuple[str, ...]] = ()
    """Metrics that the screen shows, in order; all where none are named. metrics.jsonl has all of them."""
    reports: ClassVar[tuple[str, ...]] = ()
    """Every metric that an evaluation may report, as patterns such as ``f1_*``; a table of another metric is refused
    before anything runs. Where none are named, nothing is checked."""
    lower: ClassVar[tuple[str, ...]] = ()
    """Further metrics of which less is better, where their names do not say so."""
    printed: ClassVar[dict[str, str]] = {}
    """What papers call its metrics, with the metric of each: ``{"accuracy": "top1"}``."""
    prefers: ClassVar[dict[str, str]] = {}
    """The part that gets an option given by its short name where two parts have it: ``{"fusion": "model"}``."""
    counted_on_meta: ClassVar[bool] = True
    """Whether the model can be built and run without weights and data to count its cost; a user's own code may not."""
    sets: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Options that give their value to several others: ``{"order": ("train_order", "test_order")}``."""

    select: Literal["val", "test"] = "val"
    """Part on which the best epoch is chosen; test is a flaw of some sources and needs recipe=published."""
    metrics: str = option("none", _metrics)
    """Metrics of plug-ins beside the task's own, one or several joined by +, such as macro_f1+auroc."""
    best: str = OWN
    """Metric that chooses the best epoch and ends the training early: the task's own, or one of those in metrics."""

    @property
    def further(self) -> tuple[str, ...]:
        """Names of the metrics beside the task's own, of which there may be none."""
        return () if self.metrics == "none" else tuple(self.metrics.split("+"))

    @property
    def monitored(self) -> str:
        """The metric by which the best epoch is chosen."""
        return self.monitor if self.best == OWN else self.best

    def logged(self) -> str:
        """Returns the name under which the monitored metric is logged."""
        return f"{self.select}/{self.monitored}"

    def settled(self, config: "Config") -> Self:
        """Returns these options; the task's own metric, given by its name, is what ``own`` means."""
        return self.replaced(best=OWN) if self.best == self.monitor else self

    @classmethod
    def shown(cls, metrics: Mapping[str, float]) -> dict[str, float]:
        """Returns those of the metrics that the screen shows; metrics of plug-ins are always among them."""
        further = [name for name in metrics if not any(fnmatchcase(name, own) for own in (*cls.reports, *cls.headline))]
        names = dict.fromkeys([*cls.headline, *further]) if cls.headline else metrics
        return {name: metrics[name] for name in names if name in metrics}

    @classmethod
    def unread(cls, part: str, option: str) -> str:
        """Returns why nothing in a run of this task reads an option of a section; nothing where it may be read."""
        return ""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.select == "test" and config.recipe != "published":
            return "task.select=test: choosing the epoch on the test part needs recipe=published"
        return None


class MetricOptions(Part):
    """A metric of a plug-in that ``metrics=NAME`` adds to the scores of every task of its kind; it has no options.

    Its class named by ``builds`` makes a ``torchmetrics.Metric`` of the data set's reader. ``update`` is given what the
    task gives its own scores, as many arguments as it needs: logits (n, outputs) and labels (n,) of images; of a task
    that is a file what its model gives, and the arrays that the model does not take.
    """

    kind: ClassVar[str]
    """What the metric is for, such as images, or arrays, which are the data of tasks that are a file."""
    mode: ClassVar[Mode] = "max"
    """Whether more of it is better; what its ``higher_is_better`` says, where that says anything."""


class ModelOptions(Part):
    """What every model has."""

    kind: ClassVar[str]
    """What the model takes, such as images."""
    timm: ClassVar[str] = ""
    """timm's name of the network, empty where it has none."""

    init: str = option("own", identity=False)
    """Starting weights: own, timm (pretrained ones, for networks that it has), or the path of a cell or checkpoint of
    which all that fit are taken; PATH:PREFIX takes those below a module. The file's content decides the identity."""


class DataOptions(Part):
    """What every data set has. Its class named by ``builds`` reads it, torch-free, and is built from these options."""

    kind: ClassVar[str]
    """What the set consists of, such as images."""
    surrogate: ClassVar[bool] = False
    """Whether the set is generated in the shape of a real one, so that its results are never compared with papers'."""

    def reader(self) -> Any:
        """Returns the reader of the set.

        Raises:
            ConfigError: Options that exclude one another.
        """
        try:
            return self.builder()(self)
        except ValueError as error:
            raise ConfigError(f"data={self.name}: {error}") from error

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        share = config.trainer.devices * config.trainer.accumulate
        batch = getattr(self, "batch_size", share)
        if batch < share:
            return (
                f"data.batch_size={batch}: smaller than trainer.devices x trainer.accumulate = {share}; raise the one"
                " or lower the other"
            )
        return None


class NoAttention(Part):
    """No attention: the plain backbone."""

    name = "none"
    builds = "torch.nn:Identity"


class BlockOptions(Part):
    """What every attention block has: a place in the backbone."""

    placement: Placement = "branch_end"
    """Where the block is: end or middle of the residual branch, before it, after the addition, after each stage,
    after each stage but the last."""
    record: bool = option(False, identity=False)
    """Write what gates and routers do to metrics.jsonl, and draw maps and Grad-CAM (attention.png)."""

    def conflict(self, config: "Config") -> str | None:
        """Returns why these options and the rest of the run contradict each other, or None."""
        if self.record and config.trainer.compile is True:
            return "att.record=true: a compiled model cannot be watched; leave trainer.compile out"
        return None

    def own(self) -> dict[str, Any]:
        """Returns the options of the block alone, without its place."""
        return {name: value for name, value in self.plain().items() if name not in ("placement", "record")}

"""What every task has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(kw_only=True)
class Task:
    """What every task has."""

    name: ClassVar[str]
    monitor: ClassVar[str]
    """Metric by which the best epoch is chosen."""
    mode: ClassVar[Literal["max", "min"]]
    """Whether more of the monitored metric is better."""
    headline: ClassVar[tuple[str, ...]] = ()
    """Metrics that the screen shows, in order; all where none are named. metrics.jsonl has all of them."""
    owner: ClassVar[dict[str, str]] = {}
    """Whose a short axis name is where two parts of the run declare it."""

    select: Literal["val", "test"] = "val"
    """Part on which the best epoch is chosen; test is a flaw of some sources and needs recipe=published."""

    @classmethod
    def shown(cls, metrics: Mapping[str, float]) -> dict[str, float]:
        """Those of the metrics that the screen shows."""
        return {name: metrics[name] for name in cls.headline or metrics if name in metrics}

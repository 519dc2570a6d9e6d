"""Tasks: what is learnt and how it is scored."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from exp.config.options import fraction, option


@dataclass(kw_only=True)
class Task:
    """What every task has."""

    name: ClassVar[str]
    monitor: ClassVar[str]
    """Metric by which the best epoch is chosen."""
    mode: ClassVar[Literal["max", "min"]]
    """Whether more of the monitored metric is better."""
    owner: ClassVar[dict[str, str]] = {}
    """Whose a short axis name is where two parts of the run declare it."""

    select: Literal["val", "test"] = "val"
    """Part on which the best epoch is chosen; test is a flaw of some sources and needs recipe=published."""


@dataclass(kw_only=True)
class Attention(Task):
    """Image classification with attention blocks: the ablations of notebook 004."""

    name: ClassVar[str] = "attention"
    monitor: ClassVar[str] = "top1"
    mode: ClassVar[Literal["max", "min"]] = "max"

    label_smoothing: float = option(0.0, fraction)
    """Probability mass spread over all classes in the training loss."""
    head_classes: int | None = None
    """Outputs of the classifier; the data set's classes where not given (notebook 004 has 1000 for 100)."""


SCHEMAS = (Attention,)
TASKS: dict[str, type[Task]] = {schema.name: schema for schema in SCHEMAS}
"""Tasks by name."""

"""Metrics of plug-ins beside a task's own scores: ``metrics=macro_f1+auroc``."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from exp.options.catalog import METRICS
from exp.options.errors import ConfigError, brief


class WithFurther:
    """Scores of an evaluation that begins: a task's own, and metrics that are given what those are given.

    Args:
        own: The task's, to which everything else goes that is asked of these scores.
        further: Metrics by name, which are emptied.
    """

    def __init__(self, own: Metric, further: Mapping[str, Metric]) -> None:
        self._own = own
        self._further = {name: metric.to(own.device) for name, metric in further.items()}
        for metric in further.values():
            metric.reset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def update(self, *given: Any, **named: Any) -> None:
        """Adds a batch: everything to the task's scores, to each metric as many arguments as it needs.

        Raises:
            ConfigError: A metric needs more than there are.
        """
        self._own.update(*given, **named)
        for name, metric in self._further.items():
            needed = needed_by(metric.update)
            if needed > len(given):
                raise ConfigError(f"metrics={name}: its update needs {needed} arguments, the task gives {len(given)}")
            metric.update(*given[:needed])

    def compute(self) -> dict[str, Any]:
        """Returns the scores of all ranks by name; a metric that gives several has ``NAME_KEY`` for each.

        Raises:
            ConfigError: A metric gives no number, or one that the task has.
        """
        scores = dict(self._own.compute())
        for name, metric in self._further.items():
            for key, value in _numbers(name, metric.compute()).items():
                if key in scores:
                    raise ConfigError(f"metrics={name}: the task reports a {key} of its own; call yours otherwise")
                scores[key] = value
        return scores


def build_further(names: tuple[str, ...], source: Any) -> dict[str, Metric]:
    """Returns the metrics of these names, by name; those of a plug-in that is not active are left out.

    Args:
        names: As ``metrics=`` has them.
        source: Reader of the data set, from which each is made.

    Raises:
        ConfigError: One cannot be imported or made, is no metric, or contradicts its options about what is better.
    """
    return {name: _built(name, source) for name in names if name in METRICS}


def _built(name: str, source: Any) -> Metric:
    target = METRICS[name].builds
    try:
        metric = METRICS[name].builder()(source)
    except Exception as error:  # a user's own code
        raise ConfigError(f"metrics={name}: {target} cannot be built ({brief(error)})") from error
    if not isinstance(metric, Metric):
        raise ConfigError(f"metrics={name}: {target} makes a {type(metric).__name__}, not a torchmetrics.Metric")
    higher, mode = metric.higher_is_better, METRICS[name].mode
    if isinstance(higher, bool) and higher != (mode == "max"):
        raise ConfigError(
            f'metrics={name}: {METRICS[name].__name__} says mode = "{mode}", {target} says higher_is_better = {higher};'
            f' write mode = "{"max" if higher else "min"}"'
        )
    return metric


def needed_by(function: Callable[..., Any]) -> int:
    """Returns how many positional arguments a function cannot do without."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def _numbers(name: str, value: Any) -> dict[str, float]:
    values = {f"{name}_{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
    for key, one in values.items():
        if torch.as_tensor(one).numel() != 1:
            shape = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
            raise ConfigError(f"metrics={key}: gives {shape}; return one number, or a dictionary of numbers by name")
    return {key: float(one) for key, one in values.items()}

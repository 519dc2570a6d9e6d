"""Metrics, each a ``torchmetrics.Metric`` that also works in code without the rest of ``exp``.

    from exp.metrics import CULaneF1, TuSimpleAccuracy, CasiaBRank1, ExpressionScores, LaneZigzag, TopK

Those of a task are in its folder; this module finds them by the name that the folder's ``metrics`` declares in
``PUBLIC``, and loads one when it is first asked for.
"""

import importlib
import importlib.util
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.metrics.calibration import CalibrationError as CalibrationError
    from exp.metrics.classification import TopK as TopK


@cache
def _homes() -> dict[str, str]:
    """Returns the module of each public metric by its name: those shared, then those of the tasks' folders."""
    homes = {"CalibrationError": "exp.metrics.calibration", "TopK": "exp.metrics.classification"}
    tasks = importlib.import_module("exp.tasks")
    for folder in pkgutil.iter_modules(tasks.__path__, "exp.tasks."):
        if folder.ispkg and importlib.util.find_spec(f"{folder.name}.metrics"):
            homes |= getattr(importlib.import_module(f"{folder.name}.metrics"), "PUBLIC", {})
    return homes


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in _homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_homes()[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_homes()])

"""Ablation tables you can run.

From Python, without loading torch until a model is asked for:

    import exp

    cell = exp.run("task=gait", "model=convlstm")    # trains, or returns the finished cell
    cell.result()["test"]                            # what was measured
    model = cell.load()                              # the LightningModule with its tested weights
    exp.sweep("att=none,se", "seed=0,1,2").frame()   # a pandas table
    exp.table("gait", "recipe=quick").run()          # a published table; shows itself in a notebook
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if sys.argv[:1] == ["-m"]:  # python -m exp: a folder here called lightning or datasets must hide no package
    sys.path.append(sys.path.pop(0))

if TYPE_CHECKING:
    from exp.door import CellHandle as Cell
    from exp.door import CellList, cell, cells, plan, run, sweep, table

__version__ = "0.1.0"

__all__ = ["Cell", "CellList", "cell", "cells", "plan", "run", "sweep", "table"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import exp.door

        return getattr(exp.door, {"Cell": "CellHandle"}.get(name, name))
    raise AttributeError(f"module 'exp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Face(ModuleType):
    """Keeps ``exp.run`` and the like functions, although packages of these names hold the code."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face

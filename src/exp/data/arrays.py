"""The data of a task that is a single file: whatever arrays its function ``data`` returns, by part."""

import functools
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from exp.data.fingerprint import of_files
from exp.options.errors import ConfigError, DataError
from exp.options.study import STUDIES, STUDY_MODULE, StudyDataOptions

PARTS = ("train", "val", "test")


def study_module(name: str) -> ModuleType:
    """Runs the file of a task and returns it as a module, under a name that hides no other module.

    Raises:
        ConfigError: The file of that task was not named on the command line or in ``EXP_PLUGINS``.
    """
    module = sys.modules.get(STUDY_MODULE + name)
    if module is not None:
        return module
    if name not in STUDIES:
        raise ConfigError(f"task={name}: is a file of yours; name it, task=./{name}.py")
    spec = importlib.util.spec_from_file_location(STUDY_MODULE + name, STUDIES[name].path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # before it runs, as for any module: dataclasses and pickles look it up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


class Arrays:
    """Reader of the parts that a file's ``data`` returns: ``{"train": (x, y), "val": ..., "test": ...}``.

    Each part is a tuple of arrays or tensors with one row a sample, in the order in which ``loss`` and ``scores`` take
    them. ``val`` may be absent.

    Args:
        options: Those of the file's ``data``.
    """

    def __init__(self, options: StudyDataOptions) -> None:
        self.options = options
        self.study = STUDIES[options.name]

    def check(self) -> str:
        """Returns the fingerprint of the files and folders that the options name, and of files named in the code.

        The code counts by itself. A file that is missing may be one that is written.

        Raises:
            DataError: One is missing.
        """
        named = [Path(getattr(self.options, option)).expanduser() for option in self.options.paths]
        files = []
        for option, path in zip(self.options.paths, named, strict=True):
            if not path.exists():
                raise DataError(f"data.{option}={path}: no such file or folder")
            files += sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        written_out = [Path(text).expanduser() for text in self.study.texts]
        return of_files([*files, *(path for path in written_out if path.is_file() and path not in files)])

    @property
    def num_classes(self) -> int:
        """Number of classes, where the last array holds labels from 0 on.

        Raises:
            DataError: It does not.
        """
        labels = [arrays[-1] for arrays in self.load().values()]
        if any(one.dtype.kind not in "biu" or one.ndim != 1 or one.min() < 0 for one in labels):
            first = labels[0]
            raise DataError(
                f"{self.study.path}: data's last array is {first.dtype} {first.shape}, not a label a sample"
            )
        return int(max(one.max() for one in labels)) + 1

    def load(self) -> dict[str, tuple[np.ndarray, ...]]:
        """Returns the parts, each a tuple of arrays of equal length; floating point numbers as float32.

        Raises:
            DataError: ``data`` returned something else.
        """
        arguments = {name: getattr(self.options, name) for name in self.study.arguments["data"]}
        arguments |= {name: Path(arguments[name]).expanduser() for name in self.options.paths}
        return _loaded(self.study.name, json.dumps(arguments, sort_keys=True, default=str), _Arguments(arguments))


class _Arguments(dict):
    """Arguments that a cache looks up by their text, which is given beside them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


@functools.lru_cache(maxsize=2)
def _loaded(name: str, _key: str, arguments: _Arguments) -> dict[str, tuple[np.ndarray, ...]]:
    path = STUDIES[name].path
    returned = study_module(name).data(**arguments)
    if not isinstance(returned, dict) or not {"train", "test"} <= set(returned) or set(returned) - set(PARTS):
        what = sorted(map(str, returned)) if isinstance(returned, dict) else type(returned).__name__
        raise DataError(f"{path}: data returned {what}; return a dict with train, test and, where there is one, val")
    return {part: _arrays(path, part, values) for part, values in returned.items()}


def _arrays(path: Path, part: str, values: Any) -> tuple[np.ndarray, ...]:
    if not isinstance(values, (tuple, list)):
        raise DataError(f"{path}: data's {part} is {type(values).__name__}; return a tuple of arrays, such as (x, y)")
    arrays = tuple(np.asarray(value) for value in values)
    for place, array in enumerate(arrays):
        if array.dtype.kind not in "biuf":
            raise DataError(f"{path}: data's {part}[{place}] holds {array.dtype}, not numbers")
    lengths = [len(array) if array.ndim else 0 for array in arrays]
    if not arrays or len(set(lengths)) > 1 or not lengths[0]:
        raise DataError(f"{path}: data's {part} has arrays of {', '.join(map(str, lengths))} rows; give each as many")
    return tuple(array.astype(np.float32) if array.dtype == np.float64 else array for array in arrays)

"""What all tests share: cells below a temporary folder, runs in this process and in real ones."""

import atexit
import functools
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.warm import Warm

TINY = ["width=4", "batch_size=256", "trainer.max_epochs=2", "trainer.threads=1", "trainer.accelerator=cpu"]
"""A cell of about a second."""

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default", "COLUMNS": "200"}


def exp(
    *words: str, cwd: Path, module: str = "exp", timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m exp`` as a user does, in a process that need not import the libraries anew."""
    return _warm().run("-m", module, list(words), cwd, ENVIRONMENT | environment, timeout)


def python(
    code: str, *words: str, cwd: Path, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``python -W ignore -c CODE`` in such a process."""
    quiet = {"PYTHONWARNINGS": "ignore"}
    return _warm().run("-c", f"{_QUIET}{code}", list(words), cwd, ENVIRONMENT | quiet | environment, timeout)


_QUIET = "import warnings; warnings.simplefilter('ignore')\n"


@functools.cache
def _warm() -> Warm:
    warm = Warm(dict(ENVIRONMENT))
    atexit.register(warm.close)
    return warm


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Starts ``python -m exp`` in a session of its own, its output in ``out.txt``."""
    with open(cwd / "out.txt", "a") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "exp", *words],
            cwd=cwd,
            env=ENVIRONMENT,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def slow_but(values: Iterable[Any], *fast: Any) -> list[Any]:
    """The values of a parameter, or tuples of those of several; all but ``fast`` are left to ``make test-slow``."""
    parts = ((value, value if isinstance(value, tuple) else (value,)) for value in values)
    return [value if value in fast else pytest.param(*each, marks=pytest.mark.slow) for value, each in parts]


def results(folder: Path) -> list[dict[str, Any]]:
    """All results below a folder of cells, by slug."""
    return sorted(
        (json.loads(path.read_text()) for path in folder.glob("*/*/result.json")), key=lambda result: result["slug"]
    )


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Trains a tiny cell in this process and returns its result, or its status where there is none."""
    from exp.cells.cell import Cell
    from exp.options.compose import resolved
    from exp.run.job import run_cell

    def run(*overrides: str, tiny: bool = True, anew: bool = False) -> dict[str, Any]:
        given = [*(TINY if tiny else []), f"cells.dir={tmp_path}/multirun", *overrides]
        keys = {word.partition("=")[0]: word for word in given}
        one = resolved(list(keys.values()))
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            run_cell(one, command="test", anew=anew)
        cell = Cell.of(one)
        return (cell.result() or cell.status()) | {"path": cell.path}

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that read a real data set, for ``make test-real``."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)


@pytest.fixture
def real_data() -> Path:
    """The folder of real sets in their publishers' layouts, named by EXP_TEST_DATA."""
    folder = os.environ.get("EXP_TEST_DATA")
    if not folder:
        pytest.skip("EXP_TEST_DATA names no folder with real data sets")
    return Path(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what the workers' tests of faults have counted."""
    if not config.getoption("numprocesses", 0):
        return
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    rows = {row for report in reports for name, row in getattr(report, "user_properties", ()) if name == "counts"}
    for row in sorted(rows):
        terminalreporter.line(row)

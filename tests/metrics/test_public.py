"""The metrics that exp offers to anybody: found by name, documented by examples, and the same on two ranks."""

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from torchmetrics import Metric

import exp.metrics
from tests.conftest import ENVIRONMENT

PUBLIC = [
    "CULaneF1",
    "CalibrationError",
    "CasiaBRank1",
    "CasiaBScores",
    "ExpressionScores",
    "LaneZigzag",
    "TopK",
    "TuSimpleAccuracy",
]


def test_they_are_found_by_name() -> None:
    assert [name for name in dir(exp.metrics) if name[0].isupper() and name not in ("TYPE_CHECKING", "Any")] == PUBLIC
    for name in PUBLIC:
        assert issubclass(getattr(exp.metrics, name), Metric)
    with pytest.raises(ImportError, match="cannot import name 'CULaneF2'"):
        exec("from exp.metrics import CULaneF2")


def test_none_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, exp.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_give_what_they_show(name: str) -> None:
    kind = getattr(exp.metrics, name)
    examples = doctest.DocTestFinder(recurse=False).find(
        kind, name, globs=vars(importlib.import_module(kind.__module__))
    )
    assert sum(len(test.examples) for test in examples) >= 3
    for test in examples:
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.slow
def test_a_users_module_logs_on_two_ranks_what_one_process_counts(tmp_path: Path) -> None:
    """Rank 1 sees no walk at all; every other metric is split between the two."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.metrics.user_module", str(tmp_path / "out.json")],
        cwd=Path(__file__).parents[2],
        env=ENVIRONMENT | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["logged"].keys() == written["wanted"].keys()
    assert written["logged"] == pytest.approx(written["wanted"], rel=1e-6, nan_ok=True)
    assert 0 < written["logged"]["f1"] < 100
    assert written["logged"]["rank1"] == written["logged"]["casia/nm_r1"]

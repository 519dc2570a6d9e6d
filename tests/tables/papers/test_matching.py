"""Headings of a paper's table: which way of a column is better."""

import pytest

from exp.options.catalog import TASKS
from exp.tables.papers.matching import _metric


@pytest.mark.parametrize(
    "heading", ["MAE", "NLL", "RMSE (px)", "Top-1 err.", "Error%", "ErrorRate", "Params (M)", "x ↓"]
)
def test_of_these_less_is_better(heading: str) -> None:
    assert not _metric(heading, TASKS["attention"]).higher


@pytest.mark.parametrize("heading", ["Top-1 (%)", "mAP", "Error-free ↑", "F1"])
def test_of_these_more_is_better(heading: str) -> None:
    assert _metric(heading, TASKS["attention"]).higher

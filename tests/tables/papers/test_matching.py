"""What rows of a paper's table set, and which way of a column is better."""

from typing import Any

import pytest

from exp.options.catalog import TASKS
from exp.tables.papers.matching import _metric, match_row


@pytest.mark.parametrize(
    "heading", ["MAE", "NLL", "RMSE (px)", "Top-1 err.", "Error%", "ErrorRate", "Params (M)", "x ↓"]
)
def test_of_these_less_is_better(heading: str) -> None:
    assert not _metric(heading, TASKS["attention"]).higher


@pytest.mark.parametrize("heading", ["Top-1 (%)", "mAP", "Error-free ↑", "F1"])
def test_of_these_more_is_better(heading: str) -> None:
    assert _metric(heading, TASKS["attention"]).higher


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("SE r=16", {"att": "se", "reduction": 16}),
        ("SE (r = 16)", {"att": "se", "reduction": 16}),
        ("Triplet attention k=5", {"att": "triplet", "kernel_size": 5}),
        ("ResNet-50 + CA, r: 8", {"model": "resnet50", "att": "ca", "reduction": 8}),
        ("k=7x7", {"kernel_size": 7}),
    ],
)
def test_a_setting_may_stand_behind_a_name(label: str, options: dict[str, Any]) -> None:
    row = match_row([label], ["Method"], "", "images")
    assert (row.options, row.open) == (options, {})


@pytest.mark.parametrize("label", ["Foo block", "q=7", "Foo k=7 s=2"])
def test_what_nothing_is_called_stays_open_without_far_guesses(label: str) -> None:
    row = match_row([label], ["Method"], "", "images")
    assert row.open
    assert not [one for near in row.open.values() for one in near]

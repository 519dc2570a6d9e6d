from pathlib import Path

import pytest

from exp.tables.compare import compare
from exp.tables.plan import Planner
from exp.tables.words import p_value, remarks


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (None, ""),
        (1.0, "1.00"),
        (0.142, "0.14"),
        (0.0497, "0.0497"),
        (0.05, "0.050"),
        (0.0312, "0.031"),
        (1e-4, "< 0.001"),
    ],
)
def test_p_is_told_from_five_per_cent(p: float | None, said: str) -> None:
    assert p_value(p) == said


def test_rows_that_are_the_same_cells_are_named(tmp_path: Path) -> None:
    """The quick recipe has no weight decay, clipping or early stopping that a row could leave out."""
    planner = Planner(tmp_path)
    said = remarks(compare(planner.plan("fer_reg", ["recipe=quick"])))
    same = "no_weight_decay, no_clipping, no_early_stopping: under these options the same cells as deepcnn"
    assert same in said
    assert not any("the same cells" in line for line in remarks(compare(planner.plan("fer_reg", []))))

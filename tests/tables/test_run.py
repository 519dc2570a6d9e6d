from pathlib import Path

from exp.options.compose import composed
from exp.sweep.plan import plan
from exp.tables.plan import Planner
from exp.tables.run import TableScreen
from tests.tables.cells import QUICK


def test_cells_are_called_by_their_rows_and_by_the_first_where_rows_share_one(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    table = planner.plan("gait_why", [*QUICK, "seed=0,1", f"cells.dir={tmp_path}"])
    cells = plan([one.overrides for row in table.rows for one in row.cells], composed).cells
    called = TableScreen(table, planner).names(cells)
    assert len(called) == 20, "eleven rows, of which two are one under quick"
    assert {"baseline s0", "baseline s1", "4 strips s1", "mean over time s0"} <= set(called.values())
    assert "no strides s0" not in called.values()

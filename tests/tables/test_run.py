from pathlib import Path

from exp.options.compose import composed
from exp.sweep.plan import plan
from exp.tables.plan import Planner
from exp.tables.run import TableScreen
from tests.conftest import exp
from tests.tables.cells import QUICK


def test_cells_are_called_by_their_rows_and_by_the_first_where_rows_share_one(tmp_path: Path) -> None:
    planner = Planner(tmp_path)
    table = planner.plan("gait_why", [*QUICK, "seed=0,1", f"cells.dir={tmp_path}"])
    cells = plan([one.overrides for row in table.rows for one in row.cells], composed).cells
    called = TableScreen(table, planner).names(cells)
    assert len(called) == 20, "eleven rows, of which two are one under quick"
    assert {"baseline s0", "baseline s1", "4 strips s1", "mean over time s0"} <= set(called.values())
    assert "no strides s0" not in called.values()


def test_a_dry_run_trains_nothing_of_the_tables_it_takes_choices_from(tmp_path: Path) -> None:
    words = ["recipe=quick", "trainer.max_epochs=1", "seed=0", "activation=relu", "sweep.jobs=1"]
    told = exp("table", "gate", "--run", "--dry", *words, cwd=tmp_path, timeout=600)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "8 of 8 cells to run, 1 at a time" in told.stdout, "those of the table activation, with this sweep's jobs"
    assert "table gate: which cells it has, these results decide" in told.stdout
    assert not list(tmp_path.glob("multirun/*/*"))


def test_a_table_that_waits_says_for_which_and_how_to_go_on(tmp_path: Path) -> None:
    shown = exp("table", "gate", "recipe=quick", cwd=tmp_path)
    assert "25 cells: 25 cannot run yet" in shown.stdout
    assert "no row can run yet: waits for the results of table activation" in shown.stdout
    assert "Next: exp table gate --run recipe=quick  (runs activation first)" in shown.stdout

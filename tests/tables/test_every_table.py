"""Every table that ships, with fabricated cells of every kind, through ``exp table NAME --check``."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from exp.__main__ import run
from exp.tables.compare import Comparison, compare
from exp.tables.plan import Planner, TablePlan
from exp.tables.reading import names
from exp.tables.spec import Column, Table
from tests.tables.cells import QUICK, fabricate, fail

SMALL = ["kernel", "fer", "gait_layouts", "where"]
EVERY = [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in names()]


def middle(column: Column, table: Table, row: str) -> float:
    """A value that meets what was published of a row, or else any."""
    number = table.number(row, column.name)
    return 50.0 if number is None or number.value is None else number.value


def filled(plan: TablePlan, shift: float, *, censored: bool = False) -> None:
    """Finishes all cells, every row but the reference shifted, with the noise of a seed."""
    generator = np.random.default_rng(0)
    for row in plan.rows:
        away = 0.0 if row.row.name == plan.table.reference else shift
        for one in row.cells:
            values: dict[str, float | None] = {
                column.metric: middle(column, plan.table, row.row.name) + away + 0.01 * generator.normal()
                for column in plan.table.columns.values()
            }
            if censored:
                values |= {c.metric: None for c in plan.table.columns.values() if c.censored}
            fabricate(one, values)


def judged(root: Path, name: str, given: list[str]) -> Comparison:
    return compare(Planner(root).plan(name, given))


@pytest.mark.parametrize("name", EVERY)
def test_cells_of_every_kind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root, given = tmp_path / "multirun", [*QUICK, "seed=0,1,2"]
    check = ["table", name, "--check", *given]
    plan = Planner(root).plan(name, given)
    waits = all(not row.cells for row in plan.rows)
    if waits:
        pytest.skip("waits for the results of another table")
    assert run(check) == 1
    assert f"table {name}: nothing of it has run" in capsys.readouterr().err

    filled(plan, 0.0, censored=True)
    comparison = judged(root, name, given)
    assert all(entry.delta is None for entry in comparison.entries.values()), "quick runs are not the source's"
    assert not any(entry.verdict == "missing" for entry in comparison.entries.values() if not entry.column.censored)
    assert {entry.verdict for entry in comparison.entries.values() if entry.column.censored} <= {
        "reference",
        "within noise",
    }
    assert all(row.label.text for row in comparison.plan.rows), "the recipe, or the surrogate, is named"
    refuted = [failure for failure in comparison.failures if "refuted" in failure]
    assert run(check) == int(bool(comparison.failures))
    assert capsys.readouterr().err.count("refuted") == len(refuted)

    filled(plan, 1000.0)
    found = judged(root, name, given)
    tested = [e for e in found.entries.values() if not e.column.exact and e.difference and not e.row.row.against]
    tested = [e for e in tested if e.difference and e.difference.mean]  # under quick, some rows are the same cells
    assert all(e.verdict in ("better", "worse", "undecided", "the same within") for e in tested)
    assert all(math.isfinite(e.difference.mean) for e in tested if e.difference)

    for row in plan.rows[1:]:
        for one in row.cells:
            shutil.rmtree(one.cell.path, ignore_errors=True)
            fail(one, "diverged" if one.seed else "failed")
    lost = judged(root, name, given)
    outcomes = {e.outcome for e in lost.entries.values() if e.published and e.published.value is None}
    assert outcomes <= {"failed as published"}
    claimed = [v for one in lost.claims for v in one.verdicts.values() if one.claim.row and not one.claim.bound]
    assert set(claimed) <= {"supported", "undecided", "refuted"}
    assert not any("refuted" in failure and " > " in failure for failure in lost.failures)

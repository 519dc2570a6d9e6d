"""Every table that ships, with fabricated cells of every kind, through ``exp table NAME --check``."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from exp.__main__ import run
from exp.cells.files import write_json
from exp.tables.choices import keep
from exp.tables.compare import Comparison, compare
from exp.tables.plan import Planner, TablePlan, inherited
from exp.tables.reading import load, names
from exp.tables.spec import Column, Table
from exp.tables.words import cells
from tests.tables.cells import QUICK, fabricate, fail

SHIFTED = ("better", "worse", "undecided", "the same within")
SMALL = ["kernel", "fer", "gait_layouts", "where"]
EVERY = [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in names()]


def middle(column: Column, table: Table, row: str) -> float:
    """A value that meets what was published of a row, or else any."""
    number = table.number(row, column.name)
    return 50.0 if number is None or number.value is None else number.value


def filled(plan: TablePlan, shift: float, *, censored: bool = False) -> None:
    """Finishes all cells, shifted but for the reference's own, which other rows may share, with the noise of a seed."""
    generator = np.random.default_rng(0)
    reference = {one.cell.path for row in plan.rows for one in row.cells if row.row.name == plan.table.reference}
    for row in plan.rows:
        for one in row.cells:
            away = 0.0 if one.cell.path in reference else shift
            values: dict[str, float | None] = {
                column.metric: middle(column, plan.table, row.row.name) + away + 0.01 * generator.normal()
                for column in plan.table.columns.values()
            }
            if censored:
                values |= {c.metric: None for c in plan.table.columns.values() if c.censored}
            fabricate(one, values)


def decided(root: Path, name: str, given: list[str]) -> TablePlan:
    """Plans a table, its choices made by fabricated cells of the rows and tables that they depend on."""
    while True:
        plan = Planner(root).plan(name, given)
        if not any(row.waits for row in plan.rows):
            keep(root, name, plan.given, plan.chosen)
            return plan
        for choice in plan.table.choices.values():
            if choice.table:
                more = inherited(load(choice.table), plan.table, plan.given, plan.seeds)
                filled(decided(root, choice.table, more), 0.0)
        filled(plan, 0.0)


def judged(root: Path, name: str, given: list[str]) -> Comparison:
    return compare(Planner(root).plan(name, given))


@pytest.mark.parametrize("name", EVERY)
def test_cells_of_every_kind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root, given = tmp_path / "multirun", [*QUICK, "seed=0,1,2"]
    check = ["table", name, "--check", *given]
    assert run(check) == 1
    assert f"table {name}: nothing of it has run" in capsys.readouterr().err
    plan = decided(root, name, given)

    filled(plan, 0.0, censored=True)
    comparison = judged(root, name, given)
    assert all(entry.delta is None for entry in comparison.entries.values()), "quick runs are not the source's"
    values = [e for e in comparison.entries.values() if e.row.cells and not e.column.censored]
    assert [(e.row.row.name, e.column.name) for e in values if e.verdict == "missing"] == []
    assert {entry.verdict for entry in comparison.entries.values() if entry.column.censored} <= {
        "reference",
        "not resolved",
        "within noise",
    }
    assert all(row.label.text for row in comparison.plan.rows if row.cells), "the recipe, or the surrogate, is named"
    refuted = [failure for failure in comparison.failures if "refuted" in failure]
    assert run(check) == int(bool(comparison.failures))
    assert capsys.readouterr().err.count("refuted") == len(refuted)

    filled(plan, 1000.0)
    found = judged(root, name, given)
    tested = [e for e in found.entries.values() if not e.column.exact and not e.column.censored and e.difference]
    tested = [e for e in tested if not e.row.row.against]
    # Under quick some rows are the same cells; a column of differences, such as the gap, has none of the shift.
    tested = [e for e in tested if e.difference and abs(e.difference.mean) > 500]
    assert tested
    wrong = [(e.row.row.name, e.column.name, e.verdict, e.difference) for e in tested if e.verdict not in SHIFTED]
    assert wrong == []
    assert all(math.isfinite(e.difference.mean) for e in tested if e.difference)

    first, other = plan.rows[0].cells[:2]
    changed = json.loads((first.cell.path / "result.json").read_text()) | {"code": {"exp.options.fields": "another"}}
    write_json(first.cell.path / "result.json", changed)
    (other.cell.path / "result.json").unlink()
    lock = other.cell.open()
    counted = judged(root, name, given).plan.rows[0]
    lock.release()
    assert [one.state for one in counted.cells[:2]] == ["stale", "running"]
    assert list(counted.results) == [one.seed for one in counted.cells if one is not counted.cells[1]]
    assert cells(counted).endswith("(1 stale, 1 running)")

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

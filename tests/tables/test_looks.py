from pathlib import Path

import pytest

from exp.tables import looks, words
from exp.tables.compare import Comparison, compare, open_rows
from exp.tables.looks import Schedule, extended, started
from exp.tables.plan import Planner
from tests.tables.cells import QUICK, finish

GIVEN = [*QUICK, "seed=0,1,2", "att=none,triplet,ca"]
TRIPLET = [90.0, 91.0, 89.5, 90.2, 90.9, 89.6]


def test_seeds_go_on_behind_the_largest() -> None:
    assert extended((0, 1, 2), 6) == (0, 1, 2, 3, 4, 5)
    assert extended((7, 3, 5), 5) == (7, 3, 5, 8, 9)
    assert extended((0, 1, 2, 3), 3) == (0, 1, 2)


def test_looks_double_and_spend_by_their_new_seeds() -> None:
    schedule = started((0, 1, 2), None)
    assert schedule.sizes == (3, 6, 12, 24)
    assert [look.share for look in schedule.looks((0, 1, 2))] == [3 / 24, 3 / 24, 6 / 24, 12 / 24]


def test_open_rows_alone_get_seeds_until_the_last_look() -> None:
    schedule = started((0, 1, 2), None).next(["ca"]).next(["ca", "none"])
    assert schedule.rows == {"ca": 12, "none": 6}
    assert (schedule.spent, schedule.ended) == (12, "")
    assert schedule.next([]).ended == "every verdict is clear"
    last = schedule.next(["ca"]).next(["ca"])
    assert last.ended == "the last look, at 24 seeds, has been taken"


def test_the_budget_is_never_exceeded() -> None:
    schedule = started((0, 1, 2), 10).next(["ca", "none"])
    assert schedule.spent == 6
    over = schedule.next(["ca", "none"])
    assert (over.spent, over.ended) == (6, "the next look needs 12 cells and the budget has 4")


def shown(root: Path, schedule: Schedule | None, ca: list[float]) -> Comparison:
    """The table under a schedule: none is clearly worse than triplet, ca as given."""
    plan = Planner(root).plan("modules", GIVEN)
    if schedule is not None:
        looks.keep(root, "modules", plan.given, schedule)
    values = {"triplet": TRIPLET, "none": [v - 20 - 0.001 * v * i for i, v in enumerate(TRIPLET)], "ca": ca}
    for row in Planner(root).plan("modules", GIVEN).rows:
        for one, value in zip(row.cells, values[row.row.name], strict=False):
            finish(one, test={"top1": value, "top5": value})
    return compare(Planner(root).plan("modules", GIVEN))


def test_rows_have_the_seeds_of_their_look_and_are_judged_by_it(tmp_path: Path) -> None:
    near = [90.4, 90.7, 89.9, 89.85, 91.2, 89.3]
    first = shown(tmp_path, started((0, 1, 2), 6), near)
    assert [len(row.cells) for row in first.plan.rows] == [3, 3, 3]
    assert open_rows(first) == ["triplet", "ca"]
    schedule = first.plan.schedule
    assert schedule is not None
    again = shown(tmp_path, schedule.next(open_rows(first)), near)
    assert [len(row.cells) for row in again.plan.rows] == [3, 6, 6]
    assert again.plan.expected == 15
    none, ca = again.entry("none", "top1"), again.entry("ca", "top1")
    assert (none.n, none.verdict, none.look) == (3, "worse", 1)
    assert (ca.n, ca.verdict, ca.look) == (6, "the same within", 2)
    assert words.verdict(ca) == "the same within 1; at look 2"
    assert any(
        "looks fixed beforehand at 3, 6, 12, 24 seeds, which spend 12.5 %" in one for one in words.remarks(again)
    )


@pytest.mark.slow
def test_the_first_look_is_stricter_than_a_table_of_fixed_seeds(tmp_path: Path) -> None:
    near = [90.05, 90.95, 89.56]
    fixed = shown(tmp_path / "fixed", None, near).entry("none", "top1")
    look = shown(tmp_path / "looks", started((0, 1, 2), None), near).entry("none", "top1")
    assert fixed.p is not None
    assert look.p == pytest.approx(8 * fixed.p)


def test_rows_all_of_whose_cells_failed_get_no_more(tmp_path: Path) -> None:
    from tests.tables.cells import fail

    plan = Planner(tmp_path).plan("modules", GIVEN)
    for row in plan.rows:
        for one in row.cells:
            if row.row.name == "ca":
                fail(one, "diverged")
            else:
                finish(one, test={"top1": 90.0 + one.seed, "top5": 90.0})
    assert "ca" not in open_rows(compare(Planner(tmp_path).plan("modules", GIVEN)))

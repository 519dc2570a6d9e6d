"""A site that several tests look at."""

from pathlib import Path

import pytest

from exp.tables.compare import compare
from exp.tables.plan import Planner
from exp.watch.site import write_site
from tests.tables.cells import fail, fill
from tests.watch.cells import PIXEL, TAGS

WORDS = ["recipe=quick", "seed=0,1,2"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one table, of which a cell has failed and one has a picture, all of it hostile."""
    folder = tmp_path_factory.mktemp("site")
    root = folder / "multirun"
    plan = fill(root, "modules", WORDS, {"none": [90.0, 91.0, 92.0], "triplet": [93.0, 94.0, 95.5], "ca": [91.0]})
    first = plan.rows[0].cells[0].cell.path
    (first / "maps").mkdir()
    (first / "maps" / "a b.png").write_bytes(PIXEL)
    (first / "log.txt").write_text(f"on a machine of mine: {first}\n")
    fail(plan.rows[4].cells[1], error=f"ValueError: {TAGS}")
    write_site([compare(Planner(root).plan("modules", WORDS))], folder / "site")
    return folder / "site"

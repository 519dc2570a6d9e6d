from collections.abc import Callable, Iterator

import pytest

from tests.faults.sweeps import ROWS


@pytest.fixture(autouse=True)
def counts(record_property: Callable[[str, str], None]) -> Iterator[None]:
    """Hands what a test has counted to the process that collects the results, since a worker prints to nobody."""
    ROWS.clear()
    yield
    for row in ROWS:
        record_property("counts", row)

"""What Hydra composed for one test serves the next: composing is what these tests would spend their time on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tables.cells import borrowed


@pytest.fixture(autouse=True)
def composed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with borrowed(tmp_path, tmp_path_factory.getbasetemp()):
        yield

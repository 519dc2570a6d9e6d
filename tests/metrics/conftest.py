"""Real sets, where there are any."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Path:
    """The folder of real sets in their publishers' layouts, named by EXP_TEST_DATA."""
    folder = os.environ.get("EXP_TEST_DATA")
    if not folder:
        pytest.skip("EXP_TEST_DATA names no folder with real data sets")
    return Path(folder)

"""Pickled files as in CIFAR."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.data_files import PICKLES


@pytest.fixture(params=PICKLES, ids=["python2", "python3"])
def dumps(request: pytest.FixtureRequest) -> Callable[[Any], bytes]:
    """A pickler, in both flavours in which CIFAR files exist."""
    return request.param

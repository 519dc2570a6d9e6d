"""What this machine has, and that a process takes no more of it than it was meant to."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system does not weigh sessions")
@pytest.mark.parametrize(("given", "kept"), [("5", "nice 5"), ("0", "nice 0")])
def test_a_session_of_its_own_stays_as_nice_as_its_parent(given: str, kept: str) -> None:
    code = "from exp.cells.machine import stay_nice; stay_nice(); print(open('/proc/self/autogroup').read())"
    told = subprocess.run(
        ["nice", "-n", given, sys.executable, "-c", code],
        start_new_session=True, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip().endswith(kept)

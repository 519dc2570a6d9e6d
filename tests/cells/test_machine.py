"""What this machine has, and that a process takes no more of it than it was meant to."""

import platform
import resource
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize("keeps", [False, True])
def test_large_tensors_take_the_memory_of_those_before(keeps: bool) -> None:
    code = f"""
import resource
from exp.cells.machine import keep_memory
assert not {keeps} or keep_memory()
def page_faults():
    for _ in range(10):
        bytearray(b"1") * (64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = page_faults()
print(page_faults() - first)
"""
    told = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    pages = 10 * (64 << 20) // resource.getpagesize()
    assert int(told.stdout) < pages / 100 if keeps else int(told.stdout) > pages / 1000

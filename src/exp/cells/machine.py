"""What this machine has, asked without torch."""

import ctypes
import os
import subprocess
from contextlib import suppress
from pathlib import Path


def speed_up() -> None:
    """Sets what has to be set before torch is loaded: threads sleep while they wait.

    Spinning threads make two runs on the same cores many times slower. Processes that this one starts inherit it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # as malloc.h of glibc numbers them


def keep_memory() -> bool:
    """Has this process keep the memory of tensors that it frees, for those that it makes next.

    glibc asks the system anew for each tensor of more than 32 MB and gives it back at once. The system then clears its
    pages before each use, which takes up to a third of a training step on a CPU.

    Returns:
        Whether it does so; not where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(*one) for one in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, 64 << 20)))


def stay_nice() -> None:
    """Keeps a process in a session of its own as nice as ``nice`` has made it; to be called in that process.

    Linux shares a core out among sessions first, so that in a new one a number that came from outside counts no more.
    """
    nice = os.nice(0)
    if nice > 0:
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))


def cpus() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_allowed() -> int:
    """CPU threads that computing may take here: the cores, or fewer where OMP_NUM_THREADS says so."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cpus(), int(asked)) if asked.isdecimal() and int(asked) else cpus()


def gpus() -> list[str]:
    """Names by which CUDA_VISIBLE_DEVICES knows the GPUs this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the system has no ``/proc``."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

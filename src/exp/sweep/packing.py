"""How many cells at once are worth it on a machine: by memory, cores, and how little a step gives a GPU to do."""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from exp.cells.machine import cpus

CELL_BYTES = 600_000_000
"""What a cell's process takes beside its step: libraries, and on a GPU the context of CUDA."""
SHARE = 0.9
"""Of the memory, for what counting leaves out."""
HOST_SECONDS = 5e-3
"""What a CPU takes to ask for a step of a small network, and feed it; measured from 0.5 ms to this."""
RATE = 1e13
"""Operations a second that small layers reach on a GPU; large ones reach ten times as many."""


@dataclass(frozen=True)
class Room:
    """What a machine has for cells.

    Attributes:
        cores: CPU cores.
        memory: Bytes of main memory that are free.
        gpus: GPUs.
        gpu_memory: Bytes of the smallest of them.
    """

    cores: int
    memory: int
    gpus: int = 0
    gpu_memory: int = 0


def room_here(*, on_gpus: bool) -> Room:
    """Returns what this machine has; its GPUs only where cells may run on them."""
    if on_gpus:
        import torch

        found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        if found:
            return Room(cpus(), _free(), len(found), min(gpu.total_memory for gpu in found))
    return Room(cpus(), _free())


def _free() -> int:
    """Bytes of main memory that programs can have."""
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return int(match[1]) * 1024 if match else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cells_at_once(room: Room, step_bytes: int, operations: float) -> int:
    """Returns how many cells at once finish a sweep soonest, at least 1; on GPUs the number for all of them together.

    Args:
        room: The machine.
        step_bytes: Memory of a training step: weights, gradients, optimizer, and what is kept for the backward pass.
        operations: Floating-point operations of a training step.
    """
    if not room.gpus:
        return max(1, min(room.cores, _fitting(room.memory, step_bytes)))
    busy = operations / RATE
    idle = math.ceil(HOST_SECONDS / busy) if busy else room.cores
    each = min(idle, _fitting(room.gpu_memory, step_bytes), room.cores // room.gpus)
    return max(1, each) * room.gpus


def fits(room: Room, step_bytes: int) -> bool:
    """Whether one cell at least has room, by what ``cells_at_once`` reckons with."""
    return _fitting(room.gpu_memory if room.gpus else room.memory, step_bytes) > 0


def _fitting(memory: int, step_bytes: int) -> int:
    return int(SHARE * memory / (step_bytes + CELL_BYTES))

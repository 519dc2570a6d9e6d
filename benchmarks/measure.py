"""What the benchmarks share: ways that take turns in one process, CPU time of one thread, medians, and a row of each.

A row is a ratio, ours over a plain twin's, and carries whether both gave the same result; a row that does not is void.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from exp.cells.machine import keep_memory


@dataclass(frozen=True)
class Row:
    """A comparison.

    Attributes:
        what: What is compared.
        against: With what.
        of: What the ratio is of, such as CPU time.
        ratio: Ours over theirs.
        limit: The ratio to reach, at most.
        equal: Whether both gave the same result.
        detail: Absolute figures, for orientation only.
    """

    what: str
    against: str
    of: str
    ratio: float
    limit: float
    equal: bool = True
    detail: str = ""

    @property
    def verdict(self) -> str:
        """Whether the row reaches its limit; void where the results differ."""
        return "void" if not self.equal else "yes" if self.ratio <= self.limit else "no"


def in_turn(ways: dict[str, Callable[[], Any]], rounds: int = 5) -> dict[str, list[float]]:
    """Returns the CPU seconds of each way in each round, after one round that does not count; the ways take turns."""
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if turn:
                spent[name].append(time.process_time() - began)
    return spent


def compared(
    what: str,
    against: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    limit: float,
    equal: bool,
    rounds: int = 5,
) -> Row:
    """Returns the row of the CPU times of two ways: the median of the ratios of their turns."""
    spent = in_turn({"theirs": theirs, "ours": ours}, rounds)
    ratio = statistics.median(a / b for a, b in zip(spent["ours"], spent["theirs"], strict=True))
    mine, other = (1000 * statistics.median(spent[name]) for name in ("ours", "theirs"))
    return Row(what, against, "CPU time", round(ratio, 3), limit, equal, f"{mine:.1f} : {other:.1f} ms")


def kept(forward: Callable[[], Any]) -> int:
    """Returns the bytes that a forward pass keeps for the backward pass, each storage once."""
    storages: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        held = forward()
    del held
    return sum(storages.values())


def memory_row(what: str, against: str, ours: Callable[[], Any], theirs: Callable[[], Any], limit: float) -> Row:
    """Returns the row of what two ways keep for the backward pass."""
    mine, other = kept(ours), kept(theirs)
    detail = f"{mine / 1e6:.1f} : {other / 1e6:.1f} MB"
    return Row(what, against, "saved memory", round(mine / other, 3), limit, True, detail)


def close(ours: Iterable[Tensor], theirs: Iterable[Tensor], tolerance: float) -> bool:
    """Returns whether tensors agree pair by pair, relative to the largest number of each."""
    pairs = zip(ours, theirs, strict=True)
    return all(bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def machine() -> dict[str, str]:
    """Returns the processor, what it computes with, and torch's version."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    facts = {key.strip(): value.strip() for key, value in lines.items()}
    flags = facts.get("flags", "").split()
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return {"cpu": facts.get("model name", "unknown"), "units": " ".join(units), "torch": torch.__version__}


def main(rows: Callable[[], Iterator[Row]], doc: str | None) -> None:
    """Prints each row as it is measured; the exit code is 1 where results differ.

    Args:
        rows: Measures.
        doc: The script's docstring.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--format", choices=["text", "json"], default="text", help="json prints one object a line")
    given = parser.parse_args()
    if given.format == "text":
        here = machine()
        print(f"{here['cpu']} ({here['units']}), torch {here['torch']}, load {os.getloadavg()[0]:.1f}; one thread")
    keep_memory()  # as every run of exp does, for both sides
    void = False
    for row in rows():
        void |= not row.equal
        if given.format == "json":
            print(json.dumps(asdict(row)), flush=True)
        else:
            reached = {"yes": "", "no": "  NOT REACHED", "void": "  VOID: other results"}[row.verdict]
            print(f"{row.what:58} {row.of:12} {row.ratio:6.3f} <= {row.limit:<5} {row.detail}{reached}", flush=True)
    sys.exit(void)

"""What a sweep would run and take, told before anything starts: ``sweep.dry=true``."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from exp.cells.cell import Cell
from exp.cells.terminal import amount, duration
from exp.sweep.estimate import Cost, Costs, makespan
from exp.sweep.plan import Plan, Planned
from exp.sweep.pool import Pool, Slots

MOST_CALIBRATED = 3
"""Configurations that are trained for seconds, one of each data set at least; the others are judged by their MACs."""

CALIBRATION_SECONDS = 20.0
"""How long calibrating may take in all; what has been begun is ended."""

SOURCES = {
    "seeds": "from other seeds of the same cell",
    "epochs": "from the same cell with other epochs",
    "calibrated": "from a few seconds of training",
    "macs": "from their MACs, beside those that were trained for seconds",
}


def tell(planned: Plan, pool: Pool, slots: Slots, console: Console) -> int:
    """Prints how many cells would run, and what they would take; returns the exit code, 0.

    Args:
        planned: The sweep.
        pool: A warm server, for what has to be calibrated.
        slots: How many cells would run at a time, and on what.
        console: Where to print.
    """
    todo = planned.todo
    total = len(planned.cells)
    if not todo:
        console.print(f"{total} cells, none to run")
        return 0
    costs = estimates(todo, pool, slots, console)
    seconds = makespan([], [cost.seconds for cost in costs], slots.free)
    size = sum(cost.disk_bytes for cost in costs)
    what = f"{len(todo)} of {total} cells to run, {slots.free} at a time"
    console.print(f"{what}: about {duration(seconds)}, {amount(size)} on disk")
    for source, words in SOURCES.items():
        some = [cost for cost in costs if cost.source == source]
        if some:
            each = duration(statistics.median(cost.seconds for cost in some))
            console.print(f"  {len(some)} {'cell' if len(some) == 1 else 'cells'} {words}: {each} each", style="dim")
    return 0


def estimates(todo: Sequence[Planned], pool: Pool, slots: Slots, console: Console) -> list[Cost]:
    """Returns what each cell will take: by cells like it that are done, else by a calibration, which is announced."""
    known = measured(todo[0].cell.root)
    costs = [known.of(cell.resolved.identity, cell.resolved.config.plain(), near=True) for cell in todo]
    unknown: dict[str, Planned] = {}
    for cell, cost in zip(todo, costs, strict=True):
        if cost is None:
            unknown.setdefault(Costs.key(cell.resolved.identity), cell)
    if unknown:
        console.print(f"training up to {MOST_CALIBRATED} configurations for seconds, to judge by", style="dim")
    judged = dict(zip(unknown, _calibrated(list(unknown.values()), pool, slots), strict=True)) if unknown else {}
    return [cost or judged[Costs.key(cell.resolved.identity)] for cell, cost in zip(todo, costs, strict=True)]


@dataclass(frozen=True)
class _Counted:
    """A configuration with the size of its model, and with what a calibration measured if it was calibrated."""

    cell: Planned
    macs: float
    params: float

    @property
    def data(self) -> str:
        """What decides how many samples an epoch has."""
        return f"{self.cell.resolved.task} {self.cell.resolved.config.data.name}"


def _calibrated(cells: Sequence[Planned], pool: Pool, slots: Slots) -> list[Cost]:
    """Trains a few of the cells for seconds, and judges the others by their MACs.

    Rounds of as many cells as there are slots are begun until the time for it would be over.
    """
    counts = pool.count(cells, slots)
    counted = [_Counted(cell, one["macs"], one["params"]) for cell, one in zip(cells, counts, strict=True)]
    waiting, began, longest = spread_out(counted), time.monotonic(), 0.0
    results: dict[str, dict[str, float]] = {}
    while waiting and (not results or time.monotonic() - began + longest < CALIBRATION_SECONDS):
        some, waiting = waiting[: max(1, slots.free)], waiting[max(1, slots.free) :]
        start = time.monotonic()
        found = pool.calibrate([one.cell for one in some], slots)
        longest = time.monotonic() - start
        results |= {one.cell.cell.key: result for one, result in zip(some, found, strict=True)}
    pairs = [(one, results[one.cell.cell.key]) for one in counted if one.cell.cell.key in results]
    return [_by_macs(one, pairs) for one in counted]


def spread_out(counted: Sequence[_Counted]) -> list[_Counted]:
    """Returns those to calibrate: of each data set the largest, then smallest and middle ones, by their MACs."""
    groups: dict[str, list[_Counted]] = {}
    for one in sorted(counted, key=lambda one: one.macs):
        groups.setdefault(one.data, []).append(one)
    first = [group[-1] for group in groups.values()]
    more = [group[0] for group in groups.values() if len(group) > 1]
    more += [group[len(group) // 2] for group in groups.values() if len(group) > 2]
    return [*first, *more][: max(MOST_CALIBRATED, len(first))]


def _by_macs(one: _Counted, pairs: Sequence[tuple[_Counted, dict[str, float]]]) -> Cost:
    """Returns what a cell takes: as calibrated, else between those of its data that were, by MACs."""
    alike = [pair for pair in pairs if pair[0].data == one.data] or list(pairs)
    own = [pair for pair in alike if pair[0] is one]
    alike = sorted(own or alike, key=lambda pair: pair[0].macs)
    places = [other.macs for other, _ in alike]
    beyond = 1.0  # larger or smaller than any that was calibrated: in proportion
    if not own and places[-1] > 0:
        beyond = max(1.0, one.macs / places[-1]) * min(1.0, one.macs / max(1.0, places[0]))

    def between(name: str) -> float:
        return float(np.interp(one.macs, places, [result[name] for _, result in alike]))

    epochs = max(1, one.cell.resolved.config.trainer.max_epochs)
    seconds = between("start") + beyond * (epochs * between("epoch") + between("test"))
    nearest, result = min(alike, key=lambda pair: abs(pair[0].params - one.params))
    size = result["disk_bytes"] * one.params / max(1.0, nearest.params)
    return Cost(seconds, size, "calibrated" if own else "macs")


def measured(root: Path) -> Costs:
    """Returns the costs of the cells that are done below a folder."""
    costs = Costs()
    for path in sorted(root.glob("[!.]*/*/result.json")):
        cell = Cell(path.parent)
        result, status = cell.result() or {}, cell.status()
        seconds = result.get("train_seconds")
        if status.get("attempt") == 1 and status.get("first_started") and status.get("updated"):
            seconds = status["updated"] - status["first_started"]
        if seconds and result.get("identity") and result.get("config"):
            costs.add(result["identity"], result["config"], seconds, result.get("disk_bytes") or 0)
    return costs

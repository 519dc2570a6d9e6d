"""What a sweep would run and take, told before anything starts: ``sweep.dry=true``."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from exp.cells.cell import Cell
from exp.cells.terminal import amount
from exp.sweep.estimate import Cost, Costs, kind_of, makespan
from exp.sweep.plan import Plan, Planned
from exp.sweep.pool import Pool, Slots
from exp.sweep.summary import duration

MOST_CALIBRATED = 12
"""Different configurations that are calibrated; further ones are judged by these and their MACs."""

SOURCES = {
    "seeds": "from other seeds of the same cell",
    "epochs": "from the same cell with other epochs",
    "calibrated": "from a few seconds of its training",
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
    costs = estimates(todo, pool, slots)
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


def estimates(todo: Sequence[Planned], pool: Pool, slots: Slots) -> list[Cost]:
    """Returns what each cell will take: by cells like it that are done, else by a calibration."""
    known = measured(todo[0].cell.root)
    costs = [known.of(cell.resolved.identity, cell.resolved.config.plain(), near=True) for cell in todo]
    unknown: dict[str, Planned] = {}
    for cell, cost in zip(todo, costs, strict=True):
        if cost is None:
            unknown.setdefault(Costs.key(cell.resolved.identity), cell)
    sources: dict[str, str] = {}
    if unknown:
        chosen = list(unknown.values())
        calibrated = pool.calibrate(chosen, slots, MOST_CALIBRATED)
        for cell, result in zip(chosen, calibrated, strict=True):
            seconds = result["seconds"] or _by_macs(cell, chosen, calibrated)
            known.add(cell.resolved.identity, cell.resolved.config.plain(), seconds, result["disk_bytes"])
            sources[Costs.key(cell.resolved.identity)] = "calibrated" if result["seconds"] else "macs"
    return [_cost(cell, cost, known, sources) for cell, cost in zip(todo, costs, strict=True)]


def _cost(cell: Planned, cost: Cost | None, known: Costs, sources: Mapping[str, str]) -> Cost:
    if cost is not None:
        return cost
    result = known.of(cell.resolved.identity, cell.resolved.config.plain())
    assert result is not None
    return Cost(result.seconds, result.disk_bytes, sources[Costs.key(cell.resolved.identity)])


def _by_macs(cell: Planned, chosen: Sequence[Planned], calibrated: Sequence[dict[str, float]]) -> float:
    """Returns the seconds of a cell that was not calibrated by its MACs and epochs, beside those of its kind."""
    own = next(result for other, result in zip(chosen, calibrated, strict=True) if other is cell)

    def work(cell: Planned, macs: float) -> float:
        return max(1, cell.resolved.config.trainer.max_epochs) * max(1.0, macs)

    pairs = [(other, result) for other, result in zip(chosen, calibrated, strict=True) if result["seconds"]]
    alike = [
        pair for pair in pairs if kind_of(pair[0].resolved.config.plain()) == kind_of(cell.resolved.config.plain())
    ]
    rates = [result["seconds"] / work(other, result["macs"]) for other, result in alike or pairs]
    return statistics.median(rates) * work(cell, own["macs"])


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

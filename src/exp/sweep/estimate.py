"""What cells will take, from what cells like them took."""

import heapq
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KIND = ("task", "data", "model")


@dataclass(frozen=True)
class Cost:
    """What a cell takes.

    Attributes:
        seconds: From its start to its end.
        disk_bytes: What it leaves on disk.
        source: Where the number is from: ``seeds`` (the same cell with other seeds), ``epochs`` (the same with another
            number of epochs), ``kind`` (cells of the same task, data and model), ``calibrated`` or ``macs``.
    """

    seconds: float
    disk_bytes: float
    source: str


class Costs:
    """Costs of cells that are done, to judge others by."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, list[tuple[float, float]]]] = {"seeds": {}, "epochs": {}, "kind": {}}

    def add(self, identity: Mapping[str, Any], config: Mapping[str, Any], seconds: float, disk_bytes: float) -> None:
        """Adds a cell that is done.

        Args:
            identity: Its identity, as in ``result.json``.
            config: Its options, likewise.
            seconds: From its start to its end.
            disk_bytes: Size of its directory.
        """
        epochs = _epochs(config)
        for level, key in _keys(identity, config).items():
            per = 1 if level == "seeds" else epochs
            self._known[level].setdefault(key, []).append((seconds / per, disk_bytes))

    def of(self, identity: Mapping[str, Any], config: Mapping[str, Any], *, near: bool = False) -> Cost | None:
        """Returns what a cell will take by the nearest cells there are: medians; None where there are none.

        Args:
            identity: The cell's identity.
            config: Its options.
            near: Whether cells that are alike in task, data and model alone do not count.
        """
        epochs = _epochs(config)
        for level, key in _keys(identity, config).items():
            if near and level == "kind":
                continue
            known = self._known[level].get(key)
            if known:
                seconds, sizes = zip(*known, strict=True)
                scale = 1 if level == "seeds" else epochs
                return Cost(statistics.median(seconds) * scale, statistics.median(sizes), level)
        return None

    @staticmethod
    def key(identity: Mapping[str, Any]) -> str:
        """Returns what cells have in common that differ in their seed alone."""
        return json.dumps({key: value for key, value in identity.items() if key != "seed"}, sort_keys=True)


def kind_of(config: Mapping[str, Any]) -> str:
    """Returns the task, data and model of a cell, which decide roughly what it takes."""
    return json.dumps([(config.get(part) or {}).get("name") for part in KIND])


def _keys(identity: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Keys under which cells are alike, the nearest likeness first."""
    seedless = {key: value for key, value in identity.items() if key != "seed"}
    trainer = {key: value for key, value in (identity.get("trainer") or {}).items() if key != "max_epochs"}
    return {
        "seeds": Costs.key(identity),
        "epochs": json.dumps(seedless | {"trainer": trainer}, sort_keys=True),
        "kind": kind_of(config),
    }


def _epochs(config: Mapping[str, Any]) -> int:
    epochs = (config.get("trainer") or {}).get("max_epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else 1


def makespan(running: Iterable[float], waiting: Iterable[float], slots: int) -> float:
    """Returns the seconds until all cells are over.

    Args:
        running: Seconds left of each cell that runs.
        waiting: Seconds of each cell that waits, in the order in which they start.
        slots: Cells at a time.
    """
    busy = sorted(running)
    while len(busy) < slots:
        busy.append(0.0)
    heapq.heapify(busy)
    for seconds in waiting:
        heapq.heappush(busy, heapq.heappop(busy) + seconds)
    return max(busy, default=0.0)

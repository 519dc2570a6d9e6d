"""One cell as its files show it now."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.cells.cell import FORMER, LAST
from exp.cells.files import read_json
from exp.cells.lock import STALE_SECONDS, holder_of, lives_here
from exp.options.catalog import TASKS, monitored
from exp.sweep.progress import fraction, says_how_long
from exp.watch.metrics_tail import MetricsTail, best_value, epoch_seconds, is_number

ENDED = ("done", "failed", "diverged")
SETTLED_SECONDS = 0.1
"""A directory that has changed less long ago than this is read again: its clock is too coarse to trust."""

KEPT = (
    "params", "macs", "train_seconds", "epochs", "samples_seen", "threads", "attempts", "world_size", "disk_bytes",
)  # fmt: skip
"""Numbers of a ``result.json`` that are kept in memory, beside its scores, device and host."""

WORDS = ("state", "host", "device", "alarm", "evaluating", "error", "note", "data")
"""Entries of a ``status.json`` that are text; the others are numbers, but for the metrics."""


@dataclass
class CellState:
    """A cell and what its files said at the last look.

    Attributes:
        path: Its directory.
        name: What people call it: the row and seed, or what varies in its sweep.
        state: ``done``, ``running``, ``failed``, ``diverged``, ``waiting``, or ``reading`` before the first look.
        status: The content of ``status.json``.
        result: Parts of ``result.json``.
        config: The options, empty where no file has them yet.
        identity: What tells it from others.
        note: For people: the error, or that a process was killed.
        metrics: Its measurements, read while it runs or is open.
        version: The folder's version at which it changed last.
    """

    path: Path
    name: str
    state: str = "reading"
    status: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    metrics: MetricsTail = field(init=False)
    version: int = 0
    _seen: int = -1
    _beat: tuple[int, float] = (-1, 0.0)

    def __post_init__(self) -> None:
        self.metrics = MetricsTail(self.path / "metrics.jsonl")

    @property
    def id(self) -> str:
        """Task and directory name, which together name a cell below its root."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def monitor(self) -> tuple[str, str]:
        """The monitored metric and whether more (``max``) or less (``min``) of it is better."""
        task = TASKS.get(self.path.parent.name)
        options = self.config.get("task")
        best = options.get("best") if isinstance(options, dict) else None
        return monitored(task, best if isinstance(best, str) else "") if task else ("loss", "min")

    @property
    def shown(self) -> dict[str, float]:
        """The metrics of the test where the cell is done, else the last that were reported."""
        known = self.result.get("test") or self.status.get("metrics") or {}
        task = TASKS.get(self.path.parent.name)
        return task.shown(known) if task else known

    @property
    def value(self) -> float | None:
        """The monitored metric: of the best epoch so far."""
        best = self.result.get("best")
        if best is not None:
            return float(best["value"])
        return best_value(self.metrics.records, *self.monitor)

    @property
    def progress(self) -> float:
        """How much of the cell is over, from 0 to 1; one that has failed is over."""
        return 1.0 if self.state in ENDED else fraction(self.status)

    @property
    def seconds_left(self) -> float | None:
        """Time to the end of training by the pace of the last epochs; None before there is one."""
        if self.state != "running" or not self.status.get("max_epochs"):
            return None
        left = self.status["max_epochs"] * (1 - self.progress)
        pace = epoch_seconds(self.metrics.records)
        if pace is not None:
            return left * pace
        since = time.time() - self.status.get("started", time.time())
        return since * (1 - self.progress) / self.progress if says_how_long(self.progress, since) else None

    @property
    def speed(self) -> float | None:
        """Training samples a second: now where it runs, over the whole training where it is done."""
        if self.state == "running":
            return self.status.get("samples_per_second")
        seen, seconds = self.result.get("samples_seen"), self.result.get("train_seconds")
        return seen / seconds if seen and seconds else None

    @property
    def wall_seconds(self) -> float | None:
        """From start to end of a cell that needed one attempt, reading of data and the test included."""
        if self.state != "done" or self.status.get("attempt") != 1:
            return None
        begun, ended = self.status.get("first_started"), self.status.get("updated")
        return ended - begun if begun and ended else None

    def look(self) -> bool:
        """Reads what has changed; returns whether anything has."""
        try:
            changed = os.stat(self.path).st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._seen and self.state != "running":
            return False
        before = (self.state, self.note, self.status.get("updated"), len(self.metrics.records))
        now = time.time_ns()
        if changed != self._seen:
            self._read()
            self._seen = changed if now - changed > SETTLED_SECONDS * 1e9 else -1
        elif not self._alive():
            self._read()
        if self.state == "running":
            self.metrics.update()
        return before != (self.state, self.note, self.status.get("updated"), len(self.metrics.records))

    def _read(self) -> None:
        """Takes the state from the files, in the order in which a cell writes them at its end."""
        self._read_config()
        status = self._status()
        if (self.path / "result.json").exists():
            self._be_done()
            return
        self.result = {}
        if self._alive():
            self.state, self.note = "running", ""
            return
        if status.get("state") == "running":  # it may have ended between the two looks
            status = self._status()
            if (self.path / "result.json").exists():
                self._be_done()
                return
        self.state = status["state"] if status.get("state") in ("failed", "diverged") else "waiting"
        self.note = str(status.get("error") or status.get("note") or "")
        if status.get("state") == "running":
            saved = any((self.path / name).exists() for name in (LAST, FORMER))
            then = "goes on from the last save" if saved else "begins anew, nothing was saved"
            self.note = f"its process was killed; the same command {then}"

    def _be_done(self) -> None:
        self.state, self.note = "done", ""
        result = read_json(self.path / "result.json") or {}
        if result:
            self.result = _kept(result)
            self._take_options(result)

    def _status(self) -> dict[str, Any]:
        """Reads the status; one that cannot be read is the last one still."""
        status = read_json(self.path / "status.json")
        self.status = checked(status) if status else self.status
        return self.status

    def _read_config(self) -> None:
        if not self.config:
            self._take_options(read_json(self.path / "config.json") or {})

    def _take_options(self, record: dict[str, Any]) -> None:
        for name in ("config", "identity"):
            if isinstance(record.get(name), dict):
                setattr(self, name, record[name])

    def _alive(self) -> bool:
        """Whether a process holds the lock: by its id on this host, by its heartbeat on another.

        The heartbeat is judged without writing: a lock whose time moves between two looks is alive, one that has not
        moved for a minute is dead, and at the first look this machine's clock decides.
        """
        lock = self.path / "lock"
        holder = holder_of(lock)
        if holder is None:
            return False
        here = lives_here(holder)
        if here is not None:
            return here
        try:
            beat = lock.stat().st_mtime_ns
        except OSError:
            return False
        known = self._beat[0]
        if beat != known:
            age = max(0.0, time.time() - beat / 1e9) if known == -1 else 0.0
            self._beat = (beat, time.monotonic() - age)
        return time.monotonic() - self._beat[1] < STALE_SECONDS


def checked(status: dict[str, Any]) -> dict[str, Any]:
    """Returns a status without the entries whose type is not what a cell writes, whoever wrote them."""
    sound: dict[str, Any] = {key: value for key, value in status.items() if key not in WORDS and is_number(value)}
    sound |= {key: str(status[key]) for key in WORDS if isinstance(status.get(key), str)}
    metrics = status.get("metrics")
    if isinstance(metrics, dict):
        sound["metrics"] = {str(key): value for key, value in metrics.items() if is_number(value)}
    return sound


def _kept(result: dict[str, Any]) -> dict[str, Any]:
    """Returns what is kept of a result, without entries of another type than a cell writes."""
    kept: dict[str, Any] = {key: result[key] for key in KEPT if is_number(result.get(key))}
    kept |= {key: result[key] for key in ("device", "host") if isinstance(result.get(key), str)}
    test, best = result.get("test"), result.get("best")
    if isinstance(test, dict):
        kept["test"] = {str(key): value for key, value in test.items() if is_number(value)}
    if isinstance(best, dict) and is_number(best.get("value")):
        kept["best"] = {"value": best["value"]}
    return kept

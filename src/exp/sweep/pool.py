"""Runs cells through the warm server: slots, devices, retries, signals."""

import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

from exp.cells.machine import cpus, gpus
from exp.options.config import GROUPS
from exp.options.errors import ConfigError
from exp.sweep.plan import Planned

TICK_SECONDS = 0.25
REMIND_SECONDS = 3.0


@dataclass
class Slots:
    """How many cells run at a time and what each gets.

    Attributes:
        devices: Names of GPUs still free, None on the CPU.
        free: Free slots.
        threads: CPU threads of a slot.
    """

    devices: list[str] | None
    free: int
    threads: int

    @classmethod
    def of_machine(cls, jobs: int, accelerators: set[str]) -> "Slots":
        """Slots for ``jobs`` cells at a time; with 0 as many as there are GPUs, or CPU cores where there are none."""
        found = gpus() if accelerators != {"cpu"} else []
        if found:
            count = jobs or len(found)
            return cls([found[i % len(found)] for i in range(count)], count, max(1, cpus() // count))
        count = jobs or cpus()
        return cls(None, count, max(1, cpus() // count))

    def take(self, wanted: int) -> tuple[int, dict[str, str], list[str]] | None:
        """Takes slots for a cell of ``wanted`` devices: threads a rank, environment, GPU names; None if too few."""
        if self.free < wanted:
            return None
        self.free -= wanted
        if self.devices is None:
            return self.threads, {}, []
        names = list(dict.fromkeys(self.devices))[:wanted]
        for name in names:
            self.devices.remove(name)
        return self.threads, {"CUDA_VISIBLE_DEVICES": ",".join(names)}, names

    def give(self, wanted: int, names: list[str]) -> None:
        """Gives them back."""
        self.free += wanted
        if self.devices is not None:
            self.devices += names


@dataclass
class Outcome:
    """What became of a cell: its state, and for a failure one line."""

    state: str
    error: str = ""


class Pool:
    """A warm server and the cells that run in it.

    Args:
        command: What the user typed, for the record.
        watch: Called about four times a second, and after every event, with the keys that run now.

    Attributes:
        interrupted: Whether the user or the system asked to stop.
        exhausted: Whether the time there was for the cells was over before they were.
        notes: What the check found worth a line: which weights cells start from.
    """

    def __init__(self, command: str, watch: Callable[[set[str]], None] = lambda running: None) -> None:
        self._command = command
        self._watch = watch
        self._stopping = 0
        self.interrupted = False
        self.exhausted = False
        self.notes: list[str] = []
        self._pruned: set[str] = set()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "exp.sweep.server", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._pending = b""

    def check(self, cells: list[Planned]) -> list[tuple[Planned, str]]:
        """Builds each distinct model on the meta device in a forked process.

        Returns:
            The cells that cannot be built, with the reason.
        """
        distinct: dict[str, list[Planned]] = {}
        for planned in cells:
            plain = planned.resolved.config.plain()
            parts = {part: plain[part] for part in (*GROUPS, "ckpt")}
            distinct.setdefault(json.dumps(parts, sort_keys=True), []).append(planned)
        with tempfile.TemporaryDirectory() as folder:
            reply = os.path.join(folder, "reply")
            configs = [group[0].resolved.config.plain() for group in distinct.values()]
            self._send(op="check", id="check", configs=configs, reply=reply)
            ended: list[dict[str, Any]] = []
            while not ended:
                self._watch(set())
                ended = [event for event in self._events() if event["event"] == "ended"]
            if not os.path.exists(reply):
                raise ConfigError(f"the models could not be checked: the check ended with {ended[0]['how']}")
            with open(reply) as file:
                answers = json.load(file)
        self.notes = list(dict.fromkeys(note for answer in answers if (note := answer.get("note"))))
        return [
            (planned, answer["error"])
            for group, answer in zip(distinct.values(), answers, strict=True)
            if "error" in answer
            for planned in group
        ]

    def calibrate(self, cells: Sequence[Planned], slots: Slots) -> list[dict[str, float]]:
        """Trains each cell for some seconds, as many at a time as there are slots.

        Returns:
            For each cell what ``exp.run.calibrate.calibrate`` measured.

        Raises:
            ConfigError: A cell cannot be calibrated.
        """
        return self._measured(cells, slots, trains=True)

    def count(self, cells: Sequence[Planned], slots: Slots) -> list[dict[str, float]]:
        """Returns ``params`` and ``macs`` of each cell's model; models that are alike are counted once.

        Raises:
            ConfigError: A model cannot be built.
        """
        alike: dict[str, Planned] = {}
        keys = []
        for cell in cells:
            plain = cell.resolved.config.plain()
            keys.append(json.dumps([plain["task"], plain["data"], plain["model"], plain["att"]], sort_keys=True))
            alike.setdefault(keys[-1], cell)
        counted = dict(zip(alike, self._measured(list(alike.values()), slots, trains=False), strict=True))
        return [counted[key] for key in keys]

    def _measured(self, cells: Sequence[Planned], slots: Slots, *, trains: bool) -> list[dict[str, float]]:
        told: list[dict[str, Any]] = []
        places = min(max(1, slots.free), len(cells))
        with tempfile.TemporaryDirectory() as folder:
            for place in range(places):
                share = [{"config": c.resolved.config.plain(), "key": c.cell.key} for c in cells[place::places]]
                env = {"CUDA_VISIBLE_DEVICES": slots.devices[place]} if slots.devices else {}
                command = {"cells": share, "trains": trains, "threads": slots.threads, "folder": folder, "env": env}
                self._send(op="calibrate", id=str(place), **command)
            ended = 0
            while ended < places:
                self._watch(set())
                ended += sum(event["event"] == "ended" for event in self._events())
            for cell in cells:
                path = os.path.join(folder, cell.cell.key)
                if not os.path.exists(path):
                    raise ConfigError(f"{cell.resolved.slug}: cannot be calibrated; run it alone to see why")
                with open(path) as file:
                    told.append(json.load(file))
        for cell, result in zip(cells, told, strict=True):
            if "error" in result:
                raise ConfigError(f"{cell.resolved.slug}: cannot be calibrated: {result['error']}")
        return told

    def run(
        self,
        cells: list[Planned],
        slots: Slots,
        *,
        retry: int,
        stop_on_error: bool,
        seconds: float = math.inf,
        pruned: Callable[[], list[str]] = list,
    ) -> dict[str, Outcome]:
        """Runs the cells and returns what became of each by key; interrupted ones are waiting.

        Args:
            cells: The cells in order.
            slots: What there is to run them on.
            retry: How often a failed one is tried again.
            stop_on_error: Whether the first failure stops the others.
            seconds: After this time the cells that run save and stop.
            pruned: Asked about four times a second for the keys of cells that are to save and stop.
        """
        until = time.monotonic() + seconds
        outcomes = {planned.resolved.key: Outcome("waiting") for planned in cells}
        waiting = deque((planned, retry) for planned in cells)
        running: dict[str, tuple[Planned, int, int, list[str]]] = {}
        capacity = slots.free
        previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while running or (waiting and not self._stopping):
                if time.monotonic() >= until and (self.exhausted or not self._stopping):
                    # Told again every few seconds: a cell hears it from its first step on.
                    until = time.monotonic() + REMIND_SECONDS
                    self.exhausted = True
                    self._stop(signal.SIGTERM, set(running))
                self._begin(waiting, running, slots, capacity)
                self._watch(set(running))
                self._prune(pruned(), running)
                for event in self._events():
                    if event["event"] != "ended":
                        continue
                    planned, tries, wanted, names = running.pop(event["id"])
                    slots.give(wanted, names)
                    outcome = self._judge(planned, event)
                    outcomes[event["id"]] = outcome
                    if outcome.state == "failed" and tries and not self._stopping:
                        waiting.append((planned, tries - 1))
                    elif outcome.state in ("failed", "diverged") and stop_on_error and not self._stopping:
                        self._stop(signal.SIGTERM, set(running))
                if self._stopping:
                    self._stop_again(set(running))
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self._watch(set())
        return outcomes

    def close(self) -> None:
        """Ends the server; cells that still run are ended with it."""
        assert self._server.stdin is not None
        if self._stopping:
            self._server.kill()
        self._server.stdin.close()
        self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()

    def _start(self, planned: Planned, threads: int, env: dict[str, str]) -> None:
        planned.cell.path.mkdir(parents=True, exist_ok=True)
        one = planned.resolved
        self._send(
            op="run",
            id=one.key,
            cell=one.plain(),
            command=self._command,
            threads=threads,
            anew=planned.anew,
            env=env,
            log=str(planned.cell.path / "log.txt"),
        )

    def _judge(self, planned: Planned, event: dict[str, Any]) -> Outcome:
        """The files in the cell's directory say what happened; a process that died silently has failed."""
        status = planned.cell.status()
        if status["state"] in ("done", "failed", "diverged", "running"):
            return Outcome(status["state"], status.get("error", ""))
        if event["code"] in (0, 130) or self._stopping or event["id"] in self._pruned:
            return Outcome("waiting")
        planned.cell.write_status("failed", error=f"the process ended with {event['how']}")
        return Outcome("failed", f"the process ended with {event['how']}")

    def _begin(
        self,
        waiting: "deque[tuple[Planned, int]]",
        running: dict[str, tuple[Planned, int, int, list[str]]],
        slots: Slots,
        capacity: int,
    ) -> None:
        """Starts cells that wait, as many as there are free slots."""
        while waiting and not self._stopping:
            planned, tries = waiting[0]
            wanted = min(planned.resolved.config.trainer.devices, capacity)
            taken = slots.take(wanted)
            if taken is None:
                break
            waiting.popleft()
            threads, env, names = taken
            running[planned.resolved.key] = (planned, tries, wanted, names)
            self._start(planned, max(1, threads), env)

    def _prune(self, keys: list[str], running: Container[str]) -> None:
        """Asks cells to save and stop, each once."""
        for key in keys:
            if key in running and key not in self._pruned:
                self._pruned.add(key)
                self._send(op="signal", id=key, number=signal.SIGTERM)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.interrupted = True
        self._stopping += 1

    def _stop(self, number: int, running: set[str]) -> None:
        self._stopping = max(self._stopping, 1)
        for key in running:
            self._send(op="signal", id=key, number=number)
        self._told = self._stopping

    _told = 0

    def _stop_again(self, running: set[str]) -> None:
        """The first signal asks the cells to save and stop, the second ends them."""
        if self._stopping > self._told:
            self._stop(signal.SIGTERM if self._stopping == 1 else signal.SIGKILL, running)

    def _send(self, **command: Any) -> None:
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(json.dumps(command).encode() + b"\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"the sweep's server has ended with code {self._server.wait()}") from None

    def _events(self) -> list[dict[str, Any]]:
        """Events that have come in, after at most a tick.

        Raises:
            RuntimeError: The server has died.
        """
        assert self._server.stdout is not None
        deadline = time.monotonic() + TICK_SECONDS
        ready, _, _ = select.select([self._server.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return []
        data = os.read(self._server.stdout.fileno(), 1 << 16)
        if not data:
            raise RuntimeError(f"the sweep's server has ended with code {self._server.wait()}")
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines if line]

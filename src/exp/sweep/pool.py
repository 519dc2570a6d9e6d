"""Runs cells through the warm server: slots, devices, retries, signals."""

import json
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from exp.cells.machine import cpus, gpus, threads_allowed
from exp.options.config import GROUPS
from exp.options.errors import CellFailed, ConfigError
from exp.sweep.plan import Planned
from exp.sweep.pulse import Pulse
from exp.sweep.queue import Outcome as Outcome
from exp.sweep.queue import Queue, Running
from exp.sweep.warm import ServerEnded, Warm

REMIND_SECONDS = 3.0
RESTARTS = 3
"""How often a server that something has ended is replaced until a cell has ended by itself."""


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
    def of_machine(cls, jobs: int, accelerators: set[str], wanted: int | None = None) -> "Slots":
        """Slots for ``jobs`` cells at a time; with 0 as many as there are GPUs, or CPU cores where there are none.

        Args:
            jobs: The option sweep.jobs.
            accelerators: What the cells run on.
            wanted: How many the whole sweep could use, None where that is not known. Fewer slots than cores have
                more threads each.
        """
        found = gpus() if accelerators != {"cpu"} else []
        if found:
            count = jobs or len(found)
            return cls([found[i % len(found)] for i in range(count)], count, _threads(count))
        count = jobs or min(cpus(), wanted or cpus())
        return cls(None, count, _threads(count))

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


class Pool:
    """A warm server and the cells that run in it.

    Args:
        command: What the user typed, for the record.
        watch: Called about four times a second, and after every event, with the keys that run now.
        tell: Takes a line about what the user did not ask for: a server that was replaced, cells that are waited for.

    Attributes:
        interrupted: Whether the user or the system asked to stop.
        exhausted: Whether the time there was for the cells was over before they were.
        notes: What the check found worth a line: which weights cells start from.
    """

    def __init__(
        self,
        command: str,
        watch: Callable[[set[str]], None] = lambda running: None,
        tell: Callable[[str], None] = print,
    ) -> None:
        self._command = command
        self._watch = watch
        self._tell = tell
        self._stopping = 0
        self.interrupted = False
        self.exhausted = False
        self.notes: list[str] = []
        self._pruned: set[str] = set()
        self._told = 0
        self._restarts = 0
        self._server = Warm()

    def check(self, cells: list[Planned]) -> list[tuple[Planned, str]]:
        """Builds each distinct model on the meta device in a forked process.

        Returns:
            The cells that cannot be built, with the reason.

        Raises:
            CellFailed: The server was ended again and again.
        """
        while True:
            try:
                return self._check(cells)
            except ServerEnded as error:
                self._replace(error)

    def _check(self, cells: list[Planned]) -> list[tuple[Planned, str]]:
        distinct: dict[str, list[Planned]] = {}
        for planned in cells:
            plain = planned.resolved.config.plain()
            parts = {part: plain[part] for part in (*GROUPS, "ckpt")}
            distinct.setdefault(json.dumps(parts, sort_keys=True), []).append(planned)
        with tempfile.TemporaryDirectory() as folder:
            reply = os.path.join(folder, "reply")
            configs = [group[0].resolved.config.plain() for group in distinct.values()]
            self._server.send(op="check", id="check", configs=configs, reply=reply)
            ended: list[dict[str, Any]] = []
            while not ended:
                self._watch(set())
                ended = [event for event in self._server.events() if event["event"] == "ended"]
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
            CellFailed: The server was ended again and again.
        """
        return self._measured(cells, slots, trains=True)

    def count(self, cells: Sequence[Planned], slots: Slots) -> list[dict[str, float]]:
        """Returns ``params`` and ``macs`` of each cell's model; models that are alike are counted once.

        Raises:
            ConfigError: A model cannot be built.
            CellFailed: The server was ended again and again.
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
        while True:
            try:
                return self._measure(cells, slots, trains=trains)
            except ServerEnded as error:
                self._replace(error)

    def _measure(self, cells: Sequence[Planned], slots: Slots, *, trains: bool) -> list[dict[str, float]]:
        told: list[dict[str, Any]] = []
        places = min(max(1, slots.free), len(cells))
        with tempfile.TemporaryDirectory() as folder:
            for place in range(places):
                share = [{"config": c.resolved.config.plain(), "key": c.cell.key} for c in cells[place::places]]
                env = {"CUDA_VISIBLE_DEVICES": slots.devices[place]} if slots.devices else {}
                command = {"cells": share, "trains": trains, "threads": slots.threads, "folder": folder, "env": env}
                self._server.send(op="calibrate", id=str(place), **command)
            ended = 0
            while ended < places:
                self._watch(set())
                ended += sum(event["event"] == "ended" for event in self._server.events())
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

    def _replace(self, error: ServerEnded) -> None:
        """Starts another server, unless that was in vain several times."""
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise CellFailed(f"{error}, {self._restarts} times; what was saved stays, and the same command goes on")
        self._tell(f"{error}; another one goes on")
        self._server.replace()

    def run(
        self,
        cells: list[Planned],
        slots: Slots,
        *,
        retry: int,
        stop_on_error: bool,
        seconds: float = math.inf,
        timeout: float = math.inf,
        pruned: Callable[[], list[str]] = list,
    ) -> dict[str, Outcome]:
        """Runs the cells, waits for those that run in other processes, and returns what became of each by key.

        Interrupted ones are waiting; those that another process has finished meanwhile are left out.

        Args:
            cells: The cells in order.
            slots: What there is to run them on.
            retry: How often a failed one is tried again.
            stop_on_error: Whether the first failure stops the others.
            seconds: After this time the cells that run save and stop.
            timeout: Seconds without a sign of life after which a cell that runs is ended.
            pruned: Asked about four times a second for the keys of cells that are to save and stop.

        Raises:
            CellFailed: The server was ended again and again.
        """
        queue = Queue(cells, retry)
        until = time.monotonic() + seconds
        capacity = slots.free
        previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while queue.running or ((queue.waiting or queue.elsewhere) and not self._stopping):
                if time.monotonic() >= until and (self.exhausted or not self._stopping):
                    # Told again every few seconds: a cell hears it from its first step on.
                    until = time.monotonic() + REMIND_SECONDS
                    self.exhausted = True
                    self._stopping = max(self._stopping, 1)
                    self._told = 0
                try:
                    self._begin(queue, slots, capacity)
                    self._watch(set(queue.running))
                    self._prune(pruned(), queue)
                    self._end_silent(queue, timeout)
                    for event in self._server.events():
                        if event["event"] == "ended":
                            self._ended(event, queue, slots, stop_on_error)
                    self._stop_again(queue)
                except ServerEnded as error:
                    self._go_on(error, queue, slots)
                queue.look_elsewhere(self._tell)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self._watch(set())
        return queue.outcomes

    def close(self) -> None:
        """Ends the server; cells that still run are ended with it."""
        self._server.close(kill=bool(self._stopping))

    def _begin(self, queue: Queue, slots: Slots, capacity: int) -> None:
        """Starts cells that wait, as many as there are free slots."""
        while queue.waiting and not self._stopping:
            planned, tries = queue.waiting[0]
            wanted = min(planned.resolved.config.trainer.devices, capacity)
            taken = slots.take(wanted)
            if taken is None:
                break
            queue.waiting.popleft()
            threads, env, names = taken
            try:
                planned.cell.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                slots.give(wanted, names)
                queue.outcomes[planned.resolved.key] = Outcome("failed", f"its folder cannot be made: {error}")
                continue
            queue.running[planned.resolved.key] = Running(planned, tries, wanted, names, Pulse(planned.cell.path))
            self._start(planned, max(1, threads), env)

    def _start(self, planned: Planned, threads: int, env: dict[str, str]) -> None:
        one = planned.resolved
        self._server.send(
            op="run",
            id=one.key,
            cell=one.plain(),
            command=self._command,
            threads=threads,
            anew=planned.anew,
            env=env,
            log=str(planned.cell.path / "log.txt"),
        )

    def _ended(self, event: dict[str, Any], queue: Queue, slots: Slots, stop_on_error: bool) -> None:
        """Takes note of a cell's end."""
        one = queue.running.pop(event["id"])
        slots.give(one.wanted, one.devices)
        self._restarts = 0
        outcome = self._judge(one, event)
        queue.outcomes[event["id"]] = outcome
        if outcome.state == "running":
            queue.elsewhere.append((one.planned, one.tries))
        elif outcome.state == "failed" and one.tries and not self._stopping:
            queue.waiting.append((one.planned, one.tries - 1))
        elif outcome.state in ("failed", "diverged") and stop_on_error:
            self._stopping = max(self._stopping, 1)

    def _judge(self, one: Running, event: dict[str, Any]) -> Outcome:
        """The files in the cell's directory say what happened; a process that died silently has failed."""
        status = one.planned.cell.status()
        if status["state"] in ("done", "failed", "diverged", "running"):
            return Outcome(status["state"], status.get("error", ""))
        if event["code"] in (0, 130) or self._stopping or event["id"] in self._pruned:
            return Outcome("waiting")
        error = f"the process ended with {event['how']}"
        if one.hung:
            error = (
                f"hung: nothing in its folder changed for {one.pulse.silence():.0f} s (sweep.timeout), so it was ended"
            )
        try:
            one.planned.cell.write_status("failed", error=error)
        except OSError as problem:
            error = f"{error}, and its folder cannot be written to: {problem.strerror}"
        return Outcome("failed", error)

    def _go_on(self, error: ServerEnded, queue: Queue, slots: Slots) -> None:
        """Replaces the server and puts the cells that ended with it back in line, before the others."""
        for one in queue.running.values():
            slots.give(one.wanted, one.devices)
            queue.waiting.appendleft((one.planned, one.tries))
        queue.running.clear()
        if not self._stopping:
            self._replace(error)

    def _prune(self, keys: list[str], queue: Queue) -> None:
        """Asks cells to save and stop, each once."""
        for key in keys:
            if key in queue.running and key not in self._pruned:
                self._pruned.add(key)
                self._server.send(op="signal", id=key, number=signal.SIGTERM)

    def _end_silent(self, queue: Queue, timeout: float) -> None:
        """Ends cells that give no sign of life any more."""
        if timeout == math.inf:
            return
        for key, one in queue.running.items():
            if not one.hung and one.pulse.silence() > timeout:
                one.hung = timeout
                self._tell(
                    f"{one.planned.resolved.slug}: nothing in its folder changed for {timeout:.0f} s; it is ended"
                )
                self._server.send(op="signal", id=key, number=signal.SIGKILL)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.interrupted = True
        self._stopping += 1

    def _stop_again(self, queue: Queue) -> None:
        """The first signal asks the cells to save and stop, the second ends them."""
        if self._stopping > self._told:
            self._told = self._stopping
            number = signal.SIGTERM if self._stopping == 1 else signal.SIGKILL
            for key in queue.running:
                self._server.send(op="signal", id=key, number=number)


def _threads(slots: int) -> int:
    """CPU threads of each of so many slots."""
    return max(1, min(threads_allowed(), cpus() // slots))

"""Ranks that srun started: ``srun -n N python -m exp trainer.devices=N``, on one node or several.

Task 0 is the cell: it takes the lock, writes, and tells the others when to start. They stay connected to it until they
are done, so that if one task dies, the others end within a second instead of waiting in a collective for ever.
"""

import json
import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from exp.options.errors import ConfigError
from exp.options.resolve import Resolved
from exp.run.rank import Rank

MEET_SECONDS = 120.0
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Step:
    """A job step of several tasks as srun describes it to one of them."""

    rank: Rank
    port: int

    def check(self, devices: int) -> None:
        """Refuses a step that does not fit the cell.

        Raises:
            ConfigError: The number of tasks is not that of the devices.
        """
        if devices != self.rank.world_size:
            raise ConfigError(
                f"trainer.devices={devices}: srun started {self.rank.world_size} tasks; give both the same number, or"
                " start one task, which starts its ranks itself"
            )


def step() -> Step | None:
    """Returns the job step that this process is a task of; None where it is alone in it, or where there is none.

    Raises:
        ConfigError: The tasks are not spread evenly, node by node.
    """
    tasks, nodes = _number("SLURM_STEP_NUM_TASKS", 1), _number("SLURM_STEP_NUM_NODES", 1)
    if tasks < 2:
        return None
    task, local = _number("SLURM_PROCID", 0), _number("SLURM_LOCALID", 0)
    if tasks % nodes or task % (tasks // nodes) != local:
        raise ConfigError(
            f"srun: {tasks} tasks on {nodes} nodes, and task {task} is number {local} of its node; start as many on"
            " each node, in order: srun --ntasks-per-node=N --distribution=block"
        )
    port = 20_000 + (_number("SLURM_JOB_ID", 0) * 64 + _number("SLURM_STEP_ID", 0) * 2) % 10_000
    address = first_host(os.environ.get("SLURM_STEP_NODELIST", "localhost"))
    return Step(Rank(task, tasks, port + 1, address, nodes), port)


def first_host(nodes: str) -> str:
    """Returns the first host of a list as SLURM writes it: ``gpu03`` of ``gpu[03-05,9],cpu1``."""
    match = re.match(r"([^\[,]+)(?:\[(\w+)[^\]]*\]([^,]*))?", nodes)
    if match is None:
        raise ConfigError(f"SLURM_STEP_NODELIST={nodes}: names no host")
    return "".join(part or "" for part in match.groups())


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else default


class Tasks:
    """The other tasks as task 0 sees them; a context manager around the cell.

    Args:
        step: The step.
    """

    def __init__(self, step: Step) -> None:
        self.lead = step.rank
        self._port = step.port
        self._over = threading.Event()
        self._others: dict[int, socket.socket] = {}
        self._watch: threading.Thread | None = None

    def __enter__(self) -> "Tasks":
        self._listener = socket.create_server(("", self._port), backlog=self.lead.world_size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the tasks that were not needed."""
        if self._watch is None:
            self._gather()
        self.kill()
        self._listener.close()

    def call(self, threads: int, key: str, on_death: Callable[[str], None]) -> "Tasks":
        """Waits for all tasks and lets them start.

        Args:
            threads: CPU threads of each.
            key: The cell's key, which has to be theirs too.
            on_death: Called with a message when a task ends before its work is done; this process is ended after it.

        Raises:
            RuntimeError: They have not all come.
        """
        self._gather()
        missing = sorted(set(range(1, self.lead.world_size)) - set(self._others))
        if missing:
            raise RuntimeError(f"srun: tasks {missing} have not come within {MEET_SECONDS:.0f} s")
        word = json.dumps({"threads": threads, "key": key}).encode() + b"\n"
        for other in self._others.values():
            other.sendall(word)
        self._watch = threading.Thread(target=self._watch_them, args=(on_death,), name="task-watch", daemon=True)
        self._watch.start()
        return self

    def _gather(self) -> None:
        deadline = time.monotonic() + MEET_SECONDS
        while len(self._others) < self.lead.world_size - 1 and time.monotonic() < deadline:
            self._listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                other, _ = self._listener.accept()
                other.settimeout(5.0)
                message = _line(other)
            except TimeoutError:
                continue
            if message is not None:
                self._others[int(message["rank"])] = other

    def _watch_them(self, on_death: Callable[[str], None]) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, other in self._others.items():
                selector.register(other, selectors.EVENT_READ, rank)
            while selector.get_map():
                for key, _ in selector.select(POLL_SECONDS):
                    selector.unregister(key.fileobj)
                    if _line(self._others[key.data]) is None and not self._over.is_set():
                        on_death(f"task {key.data} of {self.lead.world_size} has ended")
                        self.kill()
                        os._exit(1)

    def join(self, timeout: float = 60.0) -> None:
        """Waits until all have reported that they are done."""
        assert self._watch is not None
        self._watch.join(timeout)
        self._over.set()

    def kill(self) -> None:
        """Ends the tasks that are still at work, and those that were not called."""
        self._over.set()
        for other in self._others.values():
            try:
                other.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def follow(step: Step, resolved: Resolved, folder: Path) -> int:
    """Trains along with task 0 once it asks for it; task 0 reports whatever goes wrong.

    Args:
        step: The step.
        resolved: The cell.
        folder: Its directory.

    Returns:
        Exit code.

    Raises:
        RuntimeError: Task 0 cannot be reached, or has another cell.
    """
    lead = _reach(step)
    lead.sendall(json.dumps({"rank": step.rank.rank}).encode() + b"\n")
    word = _line(lead)
    if word is None:
        return 0
    if word["key"] != resolved.key:
        raise RuntimeError(f"task 0 runs cell {word['key']}, this one was started for {resolved.key}")
    from exp.run.ddp import leave_signals_to_lead

    leave_signals_to_lead()
    over = threading.Event()
    threading.Thread(target=_end_with, args=(lead, over), name="lead-watch", daemon=True).start()
    from exp.callbacks.checkpoint import Interrupted
    from exp.run.train import run

    try:
        run(resolved.config, folder, rank=step.rank, threads=word["threads"])
    except Interrupted:
        pass
    over.set()
    lead.sendall(b'{"done": true}\n')
    lead.close()
    return 0


def _reach(step: Step) -> socket.socket:
    deadline = time.monotonic() + MEET_SECONDS
    while True:
        try:
            lead = socket.create_connection((step.rank.address, step.port), timeout=5.0)
            lead.settimeout(None)
            return lead
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"task 0 is not at {step.rank.address}:{step.port}: {error}") from error
            time.sleep(POLL_SECONDS)


def _end_with(lead: socket.socket, over: threading.Event) -> None:
    try:
        lead.recv(1)
    except OSError:
        pass
    if not over.is_set():
        os._exit(1)


def _line(connection: socket.socket) -> dict[str, Any] | None:
    """Returns the next line of JSON, None where the other side has gone."""
    data = b""
    while not data.endswith(b"\n"):
        try:
            more = connection.recv(1)
        except OSError:
            return None
        if not more:
            return None
        data += more
    message = json.loads(data)
    return message if isinstance(message, dict) else None

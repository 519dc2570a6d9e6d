"""The warm server of a sweep: ``python -m exp.sweep.server PARENT_PID``.

It has torch and Lightning loaded, one thread and no CUDA context, and forks a process for each cell in milliseconds.
Commands come in as JSON lines on standard input, events go out as JSON lines on standard output:

    {"op": "run", "id": ..., "cell": {...}, "threads": ..., "env": {...}, "log": ...}  ->  started, then ended
    {"op": "check", "id": ..., "configs": [...], "reply": FILE}                         ->  started, then ended
    {"op": "calibrate", "id": ..., "cells": [...], "threads": ..., "env": {...}, "folder": ...}  ->  started, then ended
    {"op": "signal", "id": ..., "number": ...}

If the front ends, however it ends, the kernel ends the server, and with the server its cells.
"""

import contextlib
import importlib
import json
import os
import selectors
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from exp.cells.files import write_json
from exp.cells.machine import stay_nice
from exp.cells.provenance import note_code
from exp.options.errors import ConfigError, brief
from exp.run.ddp import die_with_parent
from exp.run.verbose import be_verbose_as_the_sweep

LOADED = ("exp.run.job", "exp.run.train", "exp.run.calibrate", "exp.callbacks.mirror", "exp.tasks.transfer")
"""What every cell needs, and what that imports: loaded before the first, so that an edit in mid-sweep mixes nothing."""


class Server:
    """Forks cells and reports their ends."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._children: dict[int, str] = {}

    def serve(self) -> None:
        """Runs until standard input ends and all cells are over."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            self._say(event="ready", pid=os.getpid())
            pending, open_ = b"", True
            while open_ or self._children:
                for key, _ in selector.select():
                    data = os.read(key.fd, 1 << 16)
                    if key.fd == wake:
                        continue
                    if not data:
                        selector.unregister(0)
                        open_ = False
                    *lines, pending = (pending + data).split(b"\n")
                    for line in lines:
                        self._do(json.loads(line))
                self._reap()

    def _say(self, **event: Any) -> None:
        os.write(self._events, json.dumps(event).encode() + b"\n")

    def _do(self, command: dict[str, Any]) -> None:
        if command["op"] == "run":
            pid = self._fork(lambda: _run(command), command["log"], command["env"])
            self._children[pid] = command["id"]
            self._say(event="started", id=command["id"], pid=pid)
        elif command["op"] == "check":
            pid = self._fork(lambda: _check(command["configs"], command["reply"]), os.devnull, {})
            self._children[pid] = command["id"]
        elif command["op"] == "calibrate":
            pid = self._fork(lambda: _calibrate(command), os.devnull, command["env"])
            self._children[pid] = command["id"]
        elif command["op"] == "signal":
            for pid, name in self._children.items():
                if name == command["id"]:
                    _signal_group(pid, command["number"])

    def _fork(self, work: Any, log: str, env: dict[str, str]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            # Here as well as in the child, so that a signal to its group never comes too early.
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpgid(pid, pid)
            return pid
        code = 1
        try:
            os.setpgid(0, 0)
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            nothing, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            for source, target in ((nothing, 0), (out, 1), (out, 2)):
                os.dup2(source, target)
            os.environ.update(env)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid in list(self._children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            name = self._children.pop(pid)
            self._say(event="ended", id=name, code=os.waitstatus_to_exitcode(status), how=_how(status))


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"code {code}"
    name = signal.Signals(-code).name
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def _run(command: dict[str, Any]) -> int:
    from exp.cells.cell import EXIT_CODES
    from exp.options.resolve import Resolved
    from exp.run.job import run_cell

    be_verbose_as_the_sweep()
    resolved = Resolved.restored(command["cell"])
    state = run_cell(resolved, command=command["command"], threads=command["threads"], anew=command["anew"])
    return EXIT_CODES[state]


def _check(configs: list[dict[str, Any]], reply: str) -> int:
    from exp.options.catalog import restored
    from exp.tasks.build import cost
    from exp.tasks.transfer import decide

    answers: list[dict[str, str]] = []
    for plain in configs:
        try:
            config = restored(plain)
            cost(config)
            answers.append({"note": decide(config)})
        except ConfigError as error:
            answers.append({"error": str(error)})
        except Exception as error:
            answers.append({"error": brief(error)})
    write_json(Path(reply), answers)
    return 0


CALIBRATION_SECONDS = 2.0


def _calibrate(command: dict[str, Any]) -> int:
    from exp.options.catalog import restored
    from exp.run.calibrate import calibrate
    from exp.tasks.build import cost

    for cell in command["cells"]:
        reply = Path(command["folder"]) / cell["key"]
        try:
            config = restored(cell["config"])
            threads = config.trainer.threads or command["threads"]
            with tempfile.TemporaryDirectory(dir=command["folder"]) as folder:
                if command["trains"]:
                    found = calibrate(config, Path(folder), threads, CALIBRATION_SECONDS)
                else:
                    counted = cost(config)
                    found = {name: counted.get(name, 0) for name in ("params", "macs")}
        except Exception as error:
            found = {"error": brief(error)}
        write_json(reply, found)
    return 0


def main() -> None:
    """Starts the server, its own prints kept out of the event stream."""
    die_with_parent(int(sys.argv[1]))
    stay_nice()
    events = os.dup(1)
    os.dup2(2, 1)
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    del torch
    for name in LOADED:
        importlib.import_module(name)
    note_code()
    Server(events).serve()


if __name__ == "__main__":
    main()

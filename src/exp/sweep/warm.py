"""The warm server of a sweep, as the sweep sees it: started, spoken to, and replaced when something has ended it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

TICK_SECONDS = 0.25


class ServerEnded(Exception):
    """The warm server is no more; the message says how it ended."""


class Warm:
    """A warm server, see ``exp.sweep.server``."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._pending = b""
        self._server = subprocess.Popen(
            [sys.executable, "-m", "exp.sweep.server", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def send(self, **command: Any) -> None:
        """Sends a command.

        Raises:
            ServerEnded: The server has ended.
        """
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(json.dumps(command).encode() + b"\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def events(self) -> list[dict[str, Any]]:
        """Returns the events that have come in, after at most a tick.

        Raises:
            ServerEnded: The server has ended.
        """
        assert self._server.stdout is not None
        deadline = time.monotonic() + TICK_SECONDS
        ready, _, _ = select.select([self._server.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return []
        data = os.read(self._server.stdout.fileno(), 1 << 16)
        if not data:
            raise self._ended()
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines if line]

    def _ended(self) -> ServerEnded:
        code = self._server.wait()
        how = f"{signal.Signals(-code).name}" if code < 0 else f"code {code}"
        memory = " (out of memory?)" if code == -signal.SIGKILL else ""
        return ServerEnded(f"the sweep's server ended with {how}{memory}")

    def replace(self) -> None:
        """Starts another server in the place of one that has ended; the kernel has ended its cells with it."""
        self._drop()
        self._start()

    def close(self, *, kill: bool) -> None:
        """Ends the server; cells that still run are ended with it.

        Args:
            kill: Whether at once, without waiting for the cells.
        """
        if kill:
            self._server.kill()
        self._drop()

    def _drop(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        try:
            self._server.stdin.close()
        except BrokenPipeError:
            pass  # it had not read everything
        self._server.wait()
        self._server.stdout.close()

"""Several devices, one process each, started by the cell itself.

The cell's process is rank 0. It starts the other ranks with the cell's own configuration, not with its command line,
and nothing travels through environment variables, so that a sweep's cells cannot infect one another. If a rank dies,
the others are ended within a second.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lightning.fabric.plugins.environments import ClusterEnvironment

from exp.run.rank import Rank

POLL_SECONDS = 0.25


ALONE = Rank()


class Ranks(ClusterEnvironment):
    """Tells Lightning which rank of how many this is, so that it starts no process and reads no variable."""

    def __init__(self, rank: Rank) -> None:
        super().__init__()
        self._rank = rank

    @property
    def creates_processes_externally(self) -> bool:
        """Whether the ranks are started by somebody else than Lightning; they always are, by the cell or by srun."""
        return True

    @property
    def main_address(self) -> str:
        """The host of rank 0."""
        return self._rank.address

    @property
    def main_port(self) -> int:
        """Where the ranks meet."""
        return self._rank.port

    @staticmethod
    def detect() -> bool:
        """Returns False: Lightning never has to guess this environment, it is always given."""
        return False

    def world_size(self) -> int:
        """Number of ranks."""
        return self._rank.world_size

    def set_world_size(self, size: int) -> None:
        """Refuses a number of ranks that is not the one started, since part of the data would silently be left out."""
        if size != self._rank.world_size:
            raise RuntimeError(f"Lightning counts {size} ranks, {self._rank.world_size} were started")

    def global_rank(self) -> int:
        """This process's number."""
        return self._rank.rank

    def set_global_rank(self, rank: int) -> None:
        """Refuses a rank of Lightning's that is not the one this process was started as."""
        if rank != self._rank.rank:
            raise RuntimeError(f"Lightning calls this rank {rank}, it was started as {self._rank.rank}")

    def local_rank(self) -> int:
        """Number among the ranks of this node."""
        return self._rank.local_rank

    def node_rank(self) -> int:
        """Number of this node."""
        return self._rank.rank // self._rank.per_node


def free_port() -> int:
    """Returns a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent(parent: int) -> None:
    """Asks the kernel to end this process with its parent (Linux), and ends it now if the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_signals_to_lead() -> None:
    """Ignores signals in this process: rank 0 alone decides what they mean, and the others end with it."""
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class RankEnded(RuntimeError):
    """Another rank has ended with an error, and this one has failed in a collective of both."""


class Followers:
    """The processes of ranks 1 and up.

    Args:
        folder: The cell's directory.
        world_size: Number of ranks.
        on_death: Called with a message when a rank ends with an error, before this process is killed too.
    """

    def __init__(self, folder: Path, world_size: int, on_death: Callable[[str], None]) -> None:
        self.lead = Rank(0, world_size, free_port())
        self._on_death = on_death
        self._over = threading.Event()
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "exp.run.follow", str(folder), str(rank), str(world_size), str(self.lead.port)],
                env=os.environ | {"EXP_PARENT": str(os.getpid())},
            )
            for rank in range(1, world_size)
        ]
        self._watch = threading.Thread(target=self._watch_them, name="rank-watch", daemon=True)
        self._watch.start()

    def _watch_them(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            for rank, process in enumerate(self._processes, start=1):
                if process.poll() not in (None, 0):
                    self._give_up(self._end_of(rank))

    def _end_of(self, rank: int) -> str:
        return f"rank {rank} of {self.lead.world_size} ended with code {self._processes[rank - 1].returncode}"

    def refuse_ended(self) -> None:
        """Says which rank has ended, where a collective has failed here: its own words are of a connection.

        Raises:
            RankEnded: One has.
        """
        deadline = time.monotonic() + 2 * POLL_SECONDS
        while time.monotonic() < deadline:
            for rank, process in enumerate(self._processes, start=1):
                if process.poll() not in (None, 0):
                    raise RankEnded(self._end_of(rank))
            time.sleep(POLL_SECONDS / 10)

    def _give_up(self, message: str) -> None:
        """Ends all ranks, since they wait in a collective that will never finish, this process too."""
        time.sleep(POLL_SECONDS)
        if self._over.is_set():
            return
        self._on_death(message)
        self.kill()
        os._exit(1)

    def kill(self) -> None:
        """Ends all ranks but this one."""
        self._over.set()
        for process in self._processes:
            if process.poll() is None:
                process.kill()

    def join(self, timeout: float = 60.0) -> None:
        """Waits for the ranks to end by themselves, and ends those that do not."""
        self._over.set()
        deadline = time.monotonic() + timeout
        for process in self._processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

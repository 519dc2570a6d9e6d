"""One process a cell, also across machines that share a file system: a lock file with a heartbeat."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
WRITE_SECONDS = 2.0
"""How long a lock file may be empty while it is written, on a file system without hard links."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES)
"""Errors by which file systems say that they have no hard links."""


class Locked(Exception):
    """Somebody else holds the cell."""


def this_host() -> str:
    """Names the space in which a process id means something: host, boot and process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{space}"


def this_job() -> dict[str, Any]:
    """The SLURM job this process belongs to, and how often it was put back in line; nothing outside SLURM."""
    job = os.environ.get("SLURM_JOB_ID")
    return {"job": job, "restart": int(os.environ.get("SLURM_RESTART_COUNT") or 0)} if job else {}


def started(pid: int) -> str | None:
    """When a process of this host started, in clock ticks since boot; None if it is no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if not _exists(pid) else ""
    return None if stat[0] in "ZX" else stat[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Lock:
    """Holds a lock file from ``acquire`` to ``release`` and keeps its modification time fresh meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            Locked: A living process holds it.
        """
        while True:
            pid = os.getpid()
            record = {"token": self._token, "host": this_host(), "pid": pid, "started": started(pid), **this_job()}
            try:
                _create(self.path, json.dumps(record), self._token)
                break
            except FileExistsError:
                holder = holder_of(self.path)
                if holder is not None and alive(self.path, holder):
                    raise Locked(f"held by process {holder.get('pid')} on {_short(holder)}") from None
                if holder is None and (not self.path.exists() or _being_written(self.path)):
                    time.sleep(WRITE_SECONDS / 20)
                    continue
                self._remove_stale(holder)
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def held(self) -> bool:
        """Whether the lock file is still ours."""
        holder = holder_of(self.path)
        return holder is not None and holder.get("token") == self._token

    def release(self) -> None:
        """Gives the lock back if it is still ours."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.held():
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            if not self.held():
                return
            with contextlib.suppress(OSError):  # a network file system that fails once is tried again
                os.utime(self.path)

    def _remove_stale(self, judged: dict[str, Any] | None) -> None:
        """Moves the dead lock away, one process at a time; one that was taken anew in between is left or put back."""
        grave = self.path.with_name(f"{self.path.name}.{self._token}.stale")
        with _alone(self.path.parent):
            if not self.path.exists() or _token(holder_of(self.path)) != _token(judged):
                return  # somebody else was faster
            try:
                os.rename(self.path, grave)
            except FileNotFoundError:
                return
            taken = holder_of(grave)
            if taken is not None and _token(taken) != _token(judged):
                with contextlib.suppress(FileExistsError):
                    _create(self.path, json.dumps(taken), self._token)
            grave.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time in, where the file system can lock a folder; the system ends it with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _create(path: Path, text: str, token: str) -> None:
    """Makes a file with its text in one step, unless it is there already.

    A hard link to a finished file does so on every file system that has links. Without them the file is created
    exclusively and written then, so that a reader may see it empty for a moment, see ``_being_written``.

    Raises:
        FileExistsError: It is there already.
    """
    fresh = path.with_name(f"{path.name}.{token}")
    try:
        fresh.write_text(text)
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with open(path, "x") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                path.unlink()
                raise
    finally:
        fresh.unlink(missing_ok=True)


def _being_written(path: Path) -> bool:
    """Whether a lock file without readable text is so young that its owner may still be writing it."""
    try:
        return _file_system_now(path.parent) - path.stat().st_mtime < WRITE_SECONDS
    except FileNotFoundError:
        return False


def holder_of(path: Path) -> dict[str, Any] | None:
    """What the lock file says, None where there is none that can be read."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _token(holder: dict[str, Any] | None) -> Any:
    return (holder or {}).get("token")


def alive(path: Path, holder: dict[str, Any]) -> bool:
    """Whether the holder still runs: by its process on this host, by its heartbeat on another.

    SLURM ends a job before it starts it again, so that an earlier life of this very job is over.
    """
    mine = this_job()
    if mine and holder.get("job") == mine["job"] and holder["restart"] < mine["restart"]:
        return False
    if (here := lives_here(holder)) is not None:
        return here
    try:
        age = _file_system_now(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return age < STALE_SECONDS


def lives_here(holder: dict[str, Any]) -> bool | None:
    """Whether a process of this host still runs, by its id and the time it started; None for one of another host."""
    if holder.get("host") != this_host():
        return None
    return holder.get("started") is not None and started(int(holder["pid"])) == holder["started"]


def _file_system_now(folder: Path) -> float:
    """The file system's own time, so that clocks of two machines need not agree."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        return time.time()
    return now


def _short(holder: dict[str, Any]) -> str:
    return str(holder.get("host", "an unknown host")).split("/")[0]

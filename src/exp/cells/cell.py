"""A cell: one directory, one process, one result.

A cell's directory is ``<dir>/<task>/<slug>-<key>/``. It holds ``config.json`` (the choices), ``status.json`` (how far
it is), ``metrics.jsonl`` (one line a measurement), ``log.txt``, checkpoints, ``error.txt`` after a failure, and last of
all ``result.json``. A cell that has a result is done.
"""

import functools
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.cells.files import read_json, write_json
from exp.cells.lock import Lock, alive, holder_of
from exp.cells.provenance import code_of, decides
from exp.options.catalog import GROUPS, SECTIONS
from exp.options.errors import ConfigError
from exp.options.fields import distinctive, fields
from exp.options.resolve import Resolved

FORMAT = 2
"""Format of ``result.json``. Without a number it is 1, of version 0.1.0: large data sets known by names and sizes."""

LAST, FORMER = "last.ckpt", "former.ckpt"
"""The checkpoint that a run goes on from, and the one before it, which is kept while the cell is unfinished."""

AUTO = "auto"
"""The value of an option that the program chooses."""

ANEW = {
    "none": (),
    "done": ("done", "stale"),
    "stale": ("stale",),
    "failed": ("failed", "diverged"),
}
"""States in which ``sweep.force`` runs a cell from the start."""

EXIT_CODES = {"done": 0, "failed": 1, "diverged": 1, "waiting": 130, "running": 1}
"""Exit code of a process that ran a cell, by the state it left the cell in."""


class Cell:
    """A cell's directory, whether it exists already or not.

    Args:
        path: The directory.
        resolved: The cell's choices; read from the directory where not given.
    """

    def __init__(self, path: Path, resolved: Resolved | None = None) -> None:
        self.path = path
        self._resolved = resolved

    @classmethod
    def of(cls, resolved: Resolved, root: str | Path | None = None) -> "Cell":
        """Returns the cell of these choices.

        Args:
            resolved: The choices.
            root: Folder of all cells; the choices' own where not given.
        """
        # Paths as texts: those of pathlib take as long as everything else here, and there may be thousands of cells.
        folder = os.path.join(os.getcwd(), root or resolved.config.cells.dir, resolved.task)
        name = f"{resolved.slug}-{resolved.key}"
        if not os.path.isdir(f"{folder}/{name}"):
            name = _names(folder).get(resolved.key, name)  # called otherwise by the version that made it
        return cls(Path(folder, name), resolved)

    @classmethod
    def on(cls, resolved: Resolved, fingerprint: str | None, root: str | Path | None = None) -> "Cell":
        """Returns the cell of these choices on these data.

        It is the cell of the choices, wherever the data lie. Only where that cell belongs to another folder's data,
        with other contents, is it a cell of its own, so that the one's result is never shown as the other's. Other
        contents in the same folder are data that have changed: they make the cell stale.

        Args:
            resolved: The choices.
            fingerprint: Of the data, None where they are not at hand.
            root: Folder of all cells; the choices' own where not given.
        """
        cell = cls.of(resolved, root)
        if fingerprint is None:
            return cell
        before = cell.fingerprint()
        if before == fingerprint:
            return cell
        own = cls.of(resolved.on_data(fingerprint), root)
        if own.path.is_dir():
            return own
        written = (cell.record() or {}).get("config", {}).get("data", {})
        same_folder = _folder(written.get("root")) == _folder(getattr(resolved.config.data, "root", None))
        return cell if before is None or same_folder else own

    @classmethod
    def at(cls, path: str | Path) -> "Cell":
        """Returns the cell that lies in a directory.

        Raises:
            ConfigError: The directory holds no cell.
        """
        cell = cls(Path(path).expanduser().absolute())
        if cell.record() is None:
            raise ConfigError(f"{path}: holds neither result.json nor config.json, so it is no cell")
        return cell

    @functools.cached_property
    def resolved(self) -> Resolved:
        """The cell's choices.

        Raises:
            ConfigError: They were written by another version and cannot be made any more.
        """
        if self._resolved is not None:
            return self._resolved
        record = read_json(self.path / "config.json") or self.result()
        if record is None:
            raise ConfigError(f"{self.path}: holds neither result.json nor config.json, so it is no cell")
        return Resolved.restored(record)

    @property
    def root(self) -> Path:
        """Folder of all cells."""
        return self.path.parents[1]

    @property
    def task(self) -> str:
        """Name of the cell's task."""
        return self.path.parent.name

    @property
    def key(self) -> str:
        """Hash of the cell's identity, the end of its directory's name."""
        return self.path.name.rpartition("-")[2]

    @property
    def lock_path(self) -> Path:
        """The lock file; present while a process works on the cell."""
        return self.path / "lock"

    def has_checkpoint(self) -> bool:
        """Returns whether there is something to go on from."""
        return any((self.path / name).exists() for name in (LAST, FORMER))

    def record(self) -> dict[str, Any] | None:
        """Returns the result, or where there is none yet the choices as written; None outside a cell."""
        return self.result() or read_json(self.path / "config.json")

    def result(self) -> dict[str, Any] | None:
        """Returns the result, None unless the cell is done.

        Raises:
            ConfigError: A newer version has written it.
        """
        return _readable(f"{self.path}/result.json")

    def look(self) -> dict[str, Any] | None:
        """Returns the result, not to be changed; who asks several times in a row has it read once.

        Raises:
            ConfigError: A newer version has written it.
        """
        path = f"{self.path}/result.json"
        try:
            stat = os.stat(path)
        except OSError:
            return None
        return _looked_at(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def fingerprint(self) -> str | None:
        """Returns the fingerprint of the data that the cell ran or runs on, None where it has none yet."""
        result = self.look()
        if result is not None:
            return result.get("data_fingerprint")
        return (read_json(self.path / "status.json") or {}).get("data")

    def status(self) -> dict[str, Any]:
        """Returns the last status written, with the state it is in now.

        The state is ``waiting``, ``running``, ``done``, ``failed`` or ``diverged``.
        """
        status = read_json(self.path / "status.json") or {}
        if self.look() is not None:
            return status | {"state": "done"}
        holder = holder_of(self.lock_path)
        if holder is not None and alive(self.lock_path, holder):
            return status | {"state": "running"}
        if status.get("state") in ("failed", "diverged"):
            return status
        return status | {"state": "waiting"}

    def state(self) -> str:
        """Returns the state that ``status`` has; of a cell that is done no status is read."""
        return "done" if self.look() is not None else str(self.status()["state"])

    def write_status(self, state: str, **more: Any) -> None:
        """Replaces the status, keeping when the cell was first started and how often."""
        path = self.path / "status.json"
        before = read_json(path) or {}
        lasting = ("attempt", "first_started", "threads", "data", "alarm", "epoch", "max_epochs", "metrics", "host")
        kept = {key: before[key] for key in lasting if key in before}
        write_json(path, kept | {"state": state, "updated": time.time(), **more})

    def stale(self, fingerprint: str | None) -> list[str]:
        """Returns what has changed since the cell was done: data, modules, or the meaning of a default.

        Args:
            fingerprint: Of the data as they are now; None leaves them out.
        """
        result = self.look() or {}
        changed = ["data"] if other_data(result.get("data_fingerprint"), fingerprint) else []
        before = {module: digest for module, digest in result.get("code", {}).items() if decides(module)}
        now = code_of(before)
        changed += [module for module, digest in before.items() if now.get(module) != digest]
        return changed + self._moved_defaults(result.get("config", {}))

    def moved(self) -> list[str]:
        """Returns the options that mean something else than when an unfinished cell wrote its choices down."""
        return self._moved_defaults((read_json(self.path / "config.json") or {}).get("config", {}))

    def _moved_defaults(self, before: dict[str, Any]) -> list[str]:
        """What was recorded before a default became ``auto`` is one of the values that the program takes for it."""
        moved = []
        for part in (*GROUPS, *SECTIONS):
            then = before.get(part)
            if not then:
                continue
            options = getattr(self.resolved.config, part)
            schema, now = type(options), options.plain()
            others = [name for name in fields(schema) if name in then and now.get(name) not in (then[name], AUTO)]
            compared = {*distinctive(schema, now), *distinctive(schema, then)} if others else ()
            moved += [f"{part}.{name}" for name in sorted(others) if name in compared]
        return moved

    def clear(self) -> None:
        """Removes everything but the lock, to run the cell anew."""
        for entry in self.path.iterdir() if self.path.is_dir() else ():
            if entry != self.lock_path:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def open(self) -> Lock:
        """Makes the directory and takes the lock.

        Raises:
            Locked: Another process works on the cell.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.lock_path)
        lock.acquire()
        return lock

    def write_config(self) -> None:
        """Writes the choices into ``config.json``."""
        write_json(self.path / "config.json", self.resolved.plain())

    def write_result(self, result: dict[str, Any]) -> None:
        """Marks the cell done."""
        write_json(self.path / "result.json", {"format": FORMAT, **result})

    def disk_bytes(self) -> int:
        """Returns the size of everything in the directory."""
        return sum(entry.stat().st_size for entry in self.path.rglob("*") if entry.is_file())


def _names(folder: str) -> Mapping[str, str]:
    """The cells in a folder by key; looked up again only where one was added or removed."""
    try:
        return _listed(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return {}


@functools.lru_cache(maxsize=8)
def _listed(folder: str, changed: int) -> Mapping[str, str]:
    return {name.rpartition("-")[2]: name for name in sorted(os.listdir(folder), reverse=True)}


def _readable(path: str) -> dict[str, Any] | None:
    """A result, None where there is none.

    Raises:
        ConfigError: A newer version has written it.
    """
    result = read_json(path)
    written = 1 if result is None else result.get("format", 1)
    if not isinstance(written, int) or written > FORMAT:
        raise ConfigError(f"{path}: has format {written}, this version reads up to {FORMAT}; update exp")
    return result


@functools.lru_cache(maxsize=8)
def _looked_at(path: str, inode: int, changed: int, size: int) -> dict[str, Any] | None:
    return _readable(path)


def other_data(before: str | None, now: str | None) -> bool:
    """Whether two fingerprints are known to be of different data.

    Earlier versions knew large sets by names and sizes, in fewer digits; such a fingerprint is compared with none of
    today's.
    """
    return before is not None and now is not None and len(before) == len(now) and before != now


def _folder(given: str | None) -> str | None:
    return None if given is None else os.path.realpath(os.path.expanduser(given))

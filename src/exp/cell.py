"""A cell: one directory, one process, one result.

A cell's directory is ``<dir>/<task>/<slug>-<key>/``. It holds ``config.json`` (the choices), ``status.json`` (how far
it is), ``metrics.jsonl`` (one line a measurement), ``log.txt``, checkpoints, ``error.txt`` after a failure, and last of
all ``result.json``. A cell that has a result is done.
"""

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

from exp.config.options import distinctive
from exp.config.resolve import Resolved
from exp.lock import Lock, alive, holder_of
from exp.provenance import code_of

FINAL = ("done", "failed", "diverged")


def finite(value: Any) -> Any:
    """``value`` with every number that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Writes a file whole or not at all; numbers that are not finite become null."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(fresh, "w") as file:
            json.dump(finite(value), file, indent=2, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file's content, None where there is none that can be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Cell:
    """The directory of one resolved configuration.

    Args:
        resolved: The choices.
        root: Folder of all cells.
    """

    def __init__(self, resolved: Resolved, root: str | Path | None = None) -> None:
        self.resolved = resolved
        self.root = Path(root or resolved.config["cells"]["dir"]).absolute()
        folder = self.root / resolved.task
        known = sorted(folder.glob(f"*-{resolved.key}")) if folder.is_dir() else []
        self.path = known[0] if known else folder / f"{resolved.slug}-{resolved.key}"

    @property
    def lock_path(self) -> Path:
        """The lock file; present while a process works on the cell."""
        return self.path / "lock"

    def result(self) -> dict[str, Any] | None:
        """The result, None unless the cell is done."""
        return read_json(self.path / "result.json")

    def status(self) -> dict[str, Any]:
        """The last status written, with the state as it is now: waiting, running, done, failed or diverged."""
        status = read_json(self.path / "status.json") or {}
        if (self.path / "result.json").exists():
            return status | {"state": "done"}
        holder = holder_of(self.lock_path)
        if holder is not None and alive(self.lock_path, holder):
            return status | {"state": "running"}
        if status.get("state") in ("failed", "diverged"):
            return status
        return status | {"state": "waiting"}

    def write_status(self, state: str, **more: Any) -> None:
        """Replaces the status, keeping when the cell was first started and how often."""
        path = self.path / "status.json"
        before = read_json(path) or {}
        kept = {key: before[key] for key in ("attempt", "first_started", "threads", "data") if key in before}
        write_json(path, kept | {"state": state, "updated": time.time(), **more})

    def stale(self, fingerprint: str | None) -> list[str]:
        """What has changed since the cell was done: data, modules, or the meaning of an option left at its default."""
        result = self.result() or {}
        changed = []
        if fingerprint is not None and result.get("data_fingerprint") not in (None, fingerprint):
            changed.append("data")
        before = result.get("code", {})
        now = code_of(before)
        changed += [module for module, digest in before.items() if now.get(module) != digest]
        return changed + self._moved_defaults(result.get("config", {}))

    def _moved_defaults(self, before: dict[str, Any]) -> list[str]:
        from exp.config import GROUPS, SECTIONS

        moved = []
        for part, values in self.resolved.config.items():
            if not isinstance(values, dict):
                continue
            schema = GROUPS[part][values["name"]] if part in GROUPS else SECTIONS[part]
            compared = set(distinctive(schema, values)) | set(distinctive(schema, before.get(part, {})))
            moved += [
                f"{part}.{name}"
                for name in sorted(compared)
                if name in before.get(part, {}) and before[part][name] != values.get(name)
            ]
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

    def write_result(self, result: dict[str, Any]) -> None:
        """Marks the cell done."""
        write_json(self.path / "result.json", result)

    def disk_bytes(self) -> int:
        """Size of everything in the directory."""
        return sum(entry.stat().st_size for entry in self.path.rglob("*") if entry.is_file())

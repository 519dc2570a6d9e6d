"""Where a result comes from: code, versions, machine, command."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DISTRIBUTIONS = ("exp-tables", "torch", "lightning", "hydra-core", "omegaconf", "numpy")
PACKAGE = Path(__file__).parents[1]

APART = ("exp.commands", "exp.tables", "exp.sweep", "exp.cells.terminal", "exp.__main__")
"""Modules whose code decides no result: what a user sees, plans and compares."""


def provenance(command: str) -> dict[str, Any]:
    """Git state, versions, host and command of this process."""
    return {
        "command": command,
        "git": git_state(PACKAGE) or git_state(Path.cwd()),
        "versions": {"python": platform.python_version(), **_versions()},
        "host": platform.node(),
        "platform": platform.platform(),
    }


@functools.cache
def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether the work tree differs from it; None outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    import importlib.metadata  # 0.1 s, which an error message need not wait for

    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_in_use(task: str) -> dict[str, str]:
    """Returns hashes of the modules of this process whose code decides a cell's result, by module name.

    Args:
        task: The cell's task; modules of other tasks are loaded for their options alone.
    """
    ours = [name for name in sys.modules if name.startswith("exp.") and not name.startswith(APART)]
    return code_of(sorted(name for name in ours if task_of(name) in (None, task)))


def task_of(module: str) -> str | None:
    """Returns the task to whose folder a module belongs, None for those that tasks share."""
    words = module.split(".")
    inside = words[:2] == ["exp", "tasks"] and len(words) > 2
    return words[2] if inside and (PACKAGE / "tasks" / words[2]).is_dir() else None


def code_of(modules: Iterable[str]) -> dict[str, str]:
    """Returns hashes of modules of this package as they are on disk now; a missing module is left out."""
    found = {}
    for module in modules:
        stem = PACKAGE.joinpath(*module.split(".")[1:])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                found[module] = _hash(str(path), os.stat(path).st_mtime_ns)
    return found


@functools.cache
def _hash(path: str, _modified: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]

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
PACKAGE = Path(__file__).parent

FLOORS = ("tasks", "models", "nn", "losses", "metrics", "data", "train")
"""Parts of the package whose code decides a result."""


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


def code_in_use() -> dict[str, str]:
    """Hashes of the modules of this process whose code decides a result, by module name."""
    ours = [name for name in sys.modules if name.startswith(tuple(f"exp.{floor}" for floor in FLOORS))]
    return code_of(sorted(ours))


def code_of(modules: Iterable[str]) -> dict[str, str]:
    """Hashes of the source of modules of this package as it lies on disk now; a missing one is left out."""
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

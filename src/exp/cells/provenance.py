"""Where a result comes from: code, versions, machine, command."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from exp.options import plugins
from exp.options.folders import PACKAGE
from exp.options.study import STUDIES, STUDY_MODULE

DISTRIBUTIONS = ("exp-tables", "torch", "lightning", "hydra-core", "omegaconf", "numpy")

APART = (
    "exp.__main__", "exp.cells", "exp.commands", "exp.door", "exp.sweep", "exp.tables", "exp.watch",
    "exp.blocks.custom_source",
    "exp.callbacks.generations", "exp.callbacks.lightning_loggers", "exp.callbacks.mirror", "exp.callbacks.wandb",
    "exp.options.complaints", "exp.options.compose", "exp.options.errors", "exp.options.folders",
    "exp.options.hydra_callback", "exp.options.places", "exp.options.plugins", "exp.options.recipe",
    "exp.options.resolve", "exp.options.spelling", "exp.options.store", "exp.options.words", "exp.options.yaml_files",
    "exp.run.calibrate", "exp.run.check", "exp.run.console", "exp.run.exit_code", "exp.run.follow",
    "exp.run.foreground", "exp.run.from_cell", "exp.run.srun", "exp.run.verbose",
)  # fmt: skip
"""Modules whose code decides no result, and what lies below them: what a user sees, plans and compares, how cells are
kept, and how words become options. A result holds all of its options, so that other ones are found by comparing them.
"""


def provenance(command: str) -> dict[str, Any]:
    """Git state, versions, host and command of this process."""
    return {
        "command": command,
        "git": git_state(PACKAGE) or git_state(Path.cwd()),
        "versions": {"python": platform.python_version()} | _versions(),
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


_noted: dict[str, tuple[Any, str]] = {}
"""The code of loaded modules by name: what it was loaded by, which a reload replaces, and its hash then."""

_looked: set[str] = set()
"""Modules that were looked at since a cell began."""


def note_code(*, afresh: bool = False) -> None:
    """Notes the code of modules that were loaded since the last call, as it is on disk now.

    Called soon after modules are loaded, so that a file that is edited while a sweep or a cell runs is recorded as it
    was when it was loaded: what runs is not what lies on disk then.

    Args:
        afresh: Whether a cell begins, for which a user's modules may have been loaded again.
    """
    if afresh:
        _looked.clear()
    fresh = [name for name in sys.modules if name not in _looked]
    _looked.update(fresh)
    for name in fresh:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if _decides(name) and (name not in _noted or _noted[name][0] is not spec):
            for digest in code_of([name]).values():
                _noted[name] = spec, digest


@functools.cache
def decides(name: str) -> bool:
    """Returns whether the code of a module of exp decides results; that of a user's own does."""
    return not name.startswith("exp.") or not (name.startswith(APART) or name.endswith(".pictures"))


def _decides(name: str) -> bool:
    if name.startswith("exp."):
        return decides(name)
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not name.startswith("__") and plugins.decides(file)


def code_in_use(task: str, chosen: Iterable[str]) -> dict[str, str]:
    """Returns hashes of the modules of this process whose code decides a cell's result, by module name.

    Modules of a user's own that take part count too, by their syntax trees: a comment changes no hash.

    Args:
        task: The cell's task; modules of other tasks are loaded for their options alone.
        chosen: Modules that declare the cell's choices. A plug-in that declares none of them and of which nothing else
            was loaded takes no part, and neither does its package.
    """
    note_code()
    idle = _idle(set(_noted), set(chosen))
    used = ((name, digest) for name, (_, digest) in sorted(_noted.items()) if name not in idle)
    return {name: digest for name, digest in used if task_of(name) in (None, task)}


def _idle(loaded: set[str], chosen: set[str]) -> set[str]:
    """Returns the modules of plug-ins that were loaded for their options alone."""
    idle: set[str] = set()
    for plugin in plugins.active():
        options = f"{plugin.name}.options"
        own = {name for name in loaded if name == plugin.name or name.startswith(f"{plugin.name}.")}
        declaring = {name for name in own if name in (plugin.name, options) or name.startswith(f"{options}.")}
        if options in own and own == declaring and not own & chosen:
            idle |= own
    return idle


def edited() -> list[str]:
    """Returns the modules of this process whose files are no longer what was loaded."""
    return [name for name, (_, digest) in sorted(_noted.items()) if code_of([name]).get(name) != digest]


def together(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Returns the code of a cell that was gone on with; a module that was another before has both hashes.

    Such a cell is stale from the start, since no code at hand makes the whole of its result.

    Args:
        before: Of the attempts that its checkpoint is from.
        now: Of this attempt.
    """
    return before | {
        name: digest if before.get(name, digest) == digest else f"{before[name]}+{digest}"
        for name, digest in now.items()
    }


def task_of(module: str) -> str | None:
    """Returns the task to whose folder a module belongs, None for those that tasks share."""
    words = module.split(".")
    inside = words[:2] == ["exp", "tasks"] and len(words) > 2
    return words[2] if inside and (PACKAGE / "tasks" / words[2]).is_dir() else None


def code_of(modules: Iterable[str]) -> dict[str, str]:
    """Returns hashes of modules as they are on disk now; a missing module is left out."""
    hashes = {}
    for module in modules:
        if module.startswith("exp."):
            path = _file_of(PACKAGE, module.split(".")[1:])
            if path:
                hashes[module] = _hash(str(path), os.stat(path).st_mtime_ns)
        elif path := file_of_module(module):
            hashes[module] = plugins.tree_hash(path)
    return hashes


def file_of_module(module: str) -> Path | None:
    """Returns the file of a user's own module, which need not be imported; None where there is none."""
    if module.startswith(STUDY_MODULE):
        known = STUDIES.get(module.removeprefix(STUDY_MODULE))
        return known.path if known else None
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded:
        return Path(loaded)
    plugins.active()  # lets plug-ins be found
    paths = (_file_of(Path(folder).absolute(), module.split(".")) for folder in [*sys.path, ""])
    return next(filter(None, paths), None)


def _file_of(folder: Path, words: Sequence[str]) -> Path | None:
    stem = folder.joinpath(*words)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@functools.cache
def _hash(path: str, _modified: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]

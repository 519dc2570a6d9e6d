"""A user's own code behind a cell's choices, read from the files without running it.

A cell that waits in the queue of another launcher is a job that will import whatever lies there when it starts. So it
is sent with a digest of that code and refuses to run under another: what a user sees planned is what runs, or nothing
does. A copy of the files would survive edits, but would lack what lies beside them, data and compiled extensions, and
would not be the code by which options are read and results become stale.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from exp.cells.provenance import code_of, file_of_module
from exp.options import plugins
from exp.options.adopted import LightningOptions
from exp.options.catalog import GROUPS, METRICS
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.study import STUDIES, STUDY_MODULE


def refuse_other_code(config: Config) -> None:
    """Refuses a cell that was queued under other code of the user's than there is now.

    Raises:
        ConfigError: The code has changed.
    """
    if config.origin.code and config.origin.code != digest(config):
        raise ConfigError(
            f"task={config.task.name}: your code has changed since this cell was queued; the same command queues it"
            " anew"
        )


def digest(config: Config) -> str:
    """Returns a digest of the user's own code behind a cell's choices, empty where there is none.

    Comments and layout do not count.
    """
    code = code_of(sorted(_own_modules(_named(config))))
    text = " ".join(f"{module}={one}" for module, one in code.items())
    return f"code-{hashlib.sha256(text.encode()).hexdigest()[:12]}" if code else ""


def _named(config: Config) -> Iterator[str]:
    """Yields the modules that a cell's choices name."""
    for group in GROUPS:
        part = getattr(config, group)
        yield from (type(part).__module__, part.builds.partition(":")[0])
        if hasattr(part, "target"):
            yield str(part.target).partition(":")[0]
    if config.task.name in STUDIES:
        yield STUDY_MODULE + config.task.name
    if isinstance(config.task, LightningOptions):
        yield from (target.partition(":")[0] for target in (config.task.module, config.task.datamodule) if target)
    yield from (METRICS[name].builds.partition(":")[0] for name in config.task.further)
    for callback in (config.callbacks.use or {}).values():
        module = callback["target"].partition(":")[0]
        plugins.watch_package(module)
        yield module


def _own_modules(named: Iterable[str]) -> set[str]:
    """Returns those of the modules that are code of the user's, and what of it they import, directly or not."""
    own: set[str] = set()
    left = [name for module in named for name in _with_packages(module)]
    while left:
        module = left.pop()
        if module in own or module.startswith("exp."):
            continue
        path = file_of_module(module)
        if path is not None and plugins.decides(path):
            own.add(module)
            left += [name for one in _imports(module, path) for name in _with_packages(one)]
    return own


def _with_packages(module: str) -> list[str]:
    words = module.split(".")
    return [".".join(words[:count]) for count in range(1, len(words) + 1)]


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yields what a file imports, anywhere in it; ``from a import b`` may mean a module ``a.b``."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # whoever runs it says so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ([base] if base else [])
            yield from (f"{base}.{alias.name}" for alias in node.names)

"""Code of a user's own that takes part in runs: which packages and files, where they lie, and what they declare.

A plug-in is a package of the same form as a task that ships with exp: ``options.py`` with options classes, and a
``conf/`` with recipes and tables where it has any. It is active where one of these names it, and nowhere else:

- ``plugins = ["mypkg"]`` under ``[tool.exp]`` in the working directory's ``pyproject.toml``,
- an entry point of the group ``exp.plugins`` in an installed package, ``mypkg = "mypkg"``,
- the environment variable ``EXP_PLUGINS``, names or paths joined by the system's path separator.

The command line's ``task=./study.py`` makes a single file active, see ``exp.options.study``.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from exp.options.errors import ConfigError, is_foreign, worded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE = "EXP_PLUGINS"
"""Environment variable that names plug-ins; set for the processes that a run starts."""
GROUP = "exp.plugins"
"""Group of entry points by which an installed package says that it is a plug-in."""


@dataclass(frozen=True)
class Plugin:
    """A package of a user's own.

    Attributes:
        name: Its import name.
        named_in: What made it active, for messages.
        path: The package's folder, or its file where it is a single module.
    """

    name: str
    named_in: str
    path: Path

    @property
    def conf(self) -> Path | None:
        """Its folder of recipes and tables, None where it has none."""
        folder = self.path / "conf"
        return folder if folder.is_dir() else None

    def declarations(self) -> ModuleType:
        """Imports and returns the module that declares its choices: ``options`` of a package, or the module itself.

        Raises:
            ConfigError: It cannot be imported; the message names file and line.
        """
        inner = (self.path / "options.py").is_file() or (self.path / "options").is_dir()
        try:
            return importlib.import_module(f"{self.name}.options" if inner else self.name)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"plug-in {self.name} ({self.named_in}): {_place(error, self.path)}") from error


@functools.cache
def active() -> tuple[Plugin, ...]:
    """Returns the plug-ins of this process, and names them to the processes that it starts.

    Raises:
        ConfigError: One is not where it is said to be.
    """
    plugins: dict[str, Plugin] = {}
    for entry, named_in in _named():
        plugin = _located(entry, named_in)
        other = plugins.setdefault(plugin.name, plugin)
        if other.path != plugin.path:
            raise ConfigError(
                f"plug-in {plugin.name}: is {other.path} by {other.named_in} and {plugin.path} by {plugin.named_in};"
                " rename one of them"
            )
    for plugin in plugins.values():
        _announce(plugin.path)
    return tuple(plugins.values())


def conf_folders() -> tuple[Path, ...]:
    """Returns the folders of recipes and tables that plug-ins bring."""
    return tuple(plugin.conf for plugin in active() if plugin.conf is not None)


def files_of_tasks() -> list[Path]:
    """Returns the files that are a task each, as ``EXP_PLUGINS`` names them."""
    return [Path(entry) for entry in _variable() if entry.endswith(".py")]


def announce_file(path: Path) -> None:
    """Names a file that is a task to the processes that this one starts."""
    _announce(path)


def _announce(path: Path) -> None:
    if str(path) not in _variable():
        os.environ[VARIABLE] = os.pathsep.join([*_variable(), str(path)])


def _variable() -> list[str]:
    return [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]


def _named() -> Iterator[tuple[str, str]]:
    """Yields what is named as a plug-in, and where."""
    for entry in _variable():
        if not entry.endswith(".py"):
            yield entry, VARIABLE
    for entry in _of_project(Path("pyproject.toml")):
        yield entry, "pyproject.toml"
    if any(_has_group(Path(folder)) for folder in sys.path):
        from importlib.metadata import entry_points  # takes a tenth of a second, which most have no need of

        for point in entry_points(group=GROUP):
            yield point.value.partition(":")[0], f"an installed package's entry point {point.name}"


def _has_group(folder: Path) -> bool:
    return any(GROUP in path.read_text(encoding="utf-8") for path in folder.glob("*.dist-info/entry_points.txt"))


def _of_project(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    plugins = content.get("tool", {}).get("exp", {}).get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise ConfigError(f'{path}: plugins under [tool.exp] has to be a list of names, such as ["mypkg"]')
    return plugins


def _located(entry: str, named_in: str) -> Plugin:
    """Returns the plug-in of a name or path; its parent joins the end of Python's path, so that it shadows nothing."""
    if os.sep in entry or entry.startswith((".", "~")):
        path = Path(entry).expanduser().absolute()
        if not path.is_dir():
            raise ConfigError(f"plug-in {entry} ({named_in}): no such folder")
        append_to_path(path.parent)
        return Plugin(path.name, named_in, path)
    if all(part.isidentifier() for part in entry.split(".")):
        for folder in (Path.cwd(), Path.cwd() / "src"):
            stem = folder.joinpath(*entry.split("."))
            if stem.is_dir() or stem.with_suffix(".py").is_file():
                append_to_path(folder)
        try:
            spec = importlib.util.find_spec(entry)
        except ModuleNotFoundError:
            spec = None
        if spec is not None and spec.submodule_search_locations:
            return Plugin(entry, named_in, Path(next(iter(spec.submodule_search_locations))))
        if spec is not None and spec.origin:
            return Plugin(entry, named_in, Path(spec.origin))
    raise ConfigError(
        f"plug-in {entry} ({named_in}): no such package in the working directory, its src or among those installed"
    )


def append_to_path(folder: Path) -> None:
    """Lets modules of a folder be imported where no other has their name."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _place(error: Exception, inside: Path) -> str:
    """Returns where in a plug-in an import failed, and why."""
    file, line = "", 0
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(inside):
            file, line = frame.filename, frame.lineno or 0
    if isinstance(error, SyntaxError) and error.filename:
        return worded(error)
    return f"{file or inside}{f':{line}' if line else ''}: {worded(error)}"


def watch(path: Path) -> None:
    """Makes the code of a file or folder count for results that it takes part in, see ``decides``."""
    _watched.add(path)


def watch_package(module: str) -> None:
    """Makes the code of a module and of its package count likewise; the working directory is searched, too."""
    append_to_path(Path.cwd())
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return
    if spec is not None and spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            watch(Path(folder))
    elif spec is not None and spec.origin:
        watch(Path(spec.origin))


def decides(file: str | Path) -> bool:
    """Returns whether a file is code of a plug-in, or of a user's own beside a file that is a task."""
    if not _watched and not active():  # nearly always, and asked of thousands of files
        return False
    path = Path(file)
    if any(path.is_relative_to(plugin.path) for plugin in active()):
        return True
    return any(path.is_relative_to(root) for root in _watched) and not is_foreign(path)


_watched: set[Path] = set()


def tree_hash(path: Path) -> str:
    """Returns a hash of a file's code: comments, docstrings and layout leave it as it is; of all where it is broken."""
    return _tree_hash(str(path), path.stat().st_mtime_ns)


@functools.cache
def _tree_hash(path: str, _modified: int) -> str:
    text = Path(path).read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return hashlib.sha256(text).hexdigest()[:12]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [part for part in node.body if not _is_words(part)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]


def _is_words(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

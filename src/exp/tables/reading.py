"""Finds tables and reads them: those that ship with exp, and YAML files of the user's own."""

import functools
import re
from pathlib import Path

from exp.options.errors import ConfigError, nearest
from exp.options.folders import conf_dir, conf_dirs
from exp.tables.choices import remembered
from exp.tables.located import read_located
from exp.tables.parsing import Parser
from exp.tables.spec import Table

ENDINGS = (".yaml", ".yml")


def names() -> list[str]:
    """All tables that ship, in the order in which they are listed: as ``order.txt`` has it, others behind."""
    folder = conf_dir() / "table"
    there = sorted({path.stem for each in conf_dirs() for path in (each / "table").glob("*.yaml")})
    order = folder / "order.txt"
    wanted = order.read_text().split() if order.is_file() else []
    return [name for name in wanted if name in there] + [name for name in there if name not in wanted]


def own_names() -> list[str]:
    """The tables that lie in the working directory: YAML files with rows and columns."""
    found = sorted(path for ending in ENDINGS for path in Path().glob(f"*{ending}"))
    return [_name_of(path) for path in found if _is_table(path)]


def known_tables(root: Path) -> list[str]:
    """Returns the names of the user's own tables, of those that ship, and of those elsewhere that were run."""
    listed = [*own_names(), *names()]
    return [*listed, *(name for name in remembered(root) if name not in listed and Path(f"{name}.yaml").is_file())]


def _is_table(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return all(re.search(rf"^{key}\s*:", text, re.MULTILINE) for key in ("rows", "columns"))


def canonical(word: str) -> str:
    """Returns the name by which ``load`` knows what a user wrote: a name, or the path of a YAML file.

    Raises:
        ConfigError: There is no such table, or two have that name.
    """
    if "/" in word or word.endswith(ENDINGS):
        path = Path(word)
        if not word.endswith(ENDINGS):
            path = _file_of(word) or path
        if not path.is_file():
            raise ConfigError(f"{word}: no such file of a table{nearest(path.stem, own_names())}")
        return _name_of(path)
    own = _file_of(word)
    if word in names() and own:
        raise ConfigError(
            f"{word}: two tables have this name, {own} here and one that ships with exp; write ./{own} for yours, or"
            " rename it to get at the other"
        )
    _path_of(word)
    return word


def _name_of(path: Path) -> str:
    """Returns the name of a file of the user's, ``./NAME`` where a table that ships has the same."""
    shipped = conf_dir() / "table"
    if path.resolve().parent == shipped.resolve():
        return path.stem
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    name = path.with_suffix("").as_posix()
    return f"./{name}" if name in names() else name


def _file_of(name: str) -> Path | None:
    """Returns the user's own file of a name."""
    return next((path for ending in ENDINGS if (path := Path(f"{name}{ending}")).is_file()), None)


def _path_of(name: str) -> Path:
    shipped = [folder / "table" / f"{name}.yaml" for folder in conf_dirs()]
    if "/" not in name and any(path.is_file() for path in shipped):
        return next(path for path in shipped if path.is_file())
    path = _file_of(name)
    if path is None:
        known = [*own_names(), *names()]
        meant = nearest(name, known) or f"; there are {', '.join(known)}"
        raise ConfigError(f"table={name}: no such table{meant}")
    return path


def load(name: str) -> Table:
    """Reads a table that ships, or one of the user's: ``NAME.yaml`` from the working directory.

    Raises:
        ConfigError: There is no such table or its file is malformed.
    """
    path = _path_of(name)
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    table = _read(name, path, Path.cwd(), (state.st_ino, state.st_size, state.st_mtime_ns))
    for file in _files_of(table):
        from exp.options.catalog import add_file  # takes longer than all else that lists tables

        add_file(Path(file))  # before what was composed of it is taken from the cache
    return table


def _files_of(table: Table) -> list[str]:
    """Returns the files that are a task which a table names."""
    varied = [*(row.overrides.items() for row in table.rows.values()), *table.settings]
    named = [*table.base.items(), *(pair for pairs in varied for pair in pairs)]
    return list(dict.fromkeys(str(value) for key, value in named if key == "task" and str(value).endswith(".py")))


@functools.lru_cache(maxsize=256)
def _read(name: str, path: Path, folder: Path, state: tuple[int, ...]) -> Table:
    """A table's file as it is; read again where it has changed, as it does under a notebook's kernel."""
    located = read_located(path)
    if not isinstance(located.content, dict):
        raise ConfigError(f"{path}: expected a mapping with title, base, rows, columns")
    return Parser(name, located, own=path.parent.resolve() != (conf_dir() / "table").resolve()).table()

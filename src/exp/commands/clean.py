"""``exp clean [STATE | CELL] ...``: what the folder of cells holds, and the removal of what is not wanted any more.

    exp clean                          counts and sizes, nothing else
    exp clean failed diverged          cells that failed or diverged
    exp clean waiting                  cells that were begun, interrupted, and do not run now
    exp clean stale                    done cells whose code, data or defaults have changed since
    exp clean 1a2b3c4d5e               a cell by the hash at the end of its name, its name or its directory

It shows what and how much and asks; --yes answers. A running cell is never removed.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exp.cells.cell import Cell
from exp.cells.files import writing
from exp.cells.lock import Locked
from exp.cells.terminal import amount, shown
from exp.commands.front import add_format, show
from exp.options.compose import resolved
from exp.options.errors import ConfigError, DataError, nearest

STATES = ("failed", "diverged", "waiting", "stale")
"""What can be removed by its state."""


@dataclass
class SizedCell:
    """A cell, its state and its size in bytes."""

    cell: Cell
    state: str
    size: int


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("which", nargs="*", help=f"{', '.join(STATES)}, or cells by name, hash or directory")
    parser.add_argument("--dir", default="multirun", type=Path, help="folder of the cells (multirun if not given)")
    parser.add_argument("--yes", action="store_true", help="remove without asking")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Shows, asks, removes; returns 1 where the answer was no.

    Raises:
        ConfigError: There is no such folder or cell, one named is running, or nobody is there to be asked.
    """
    if options.format == "json":
        if options.which:
            raise ConfigError("--format json: counts the cells; leave out what is to be removed")
        cells = find(options.dir)
        listed = {one.cell.path.name: {"state": one.state, "bytes": one.size} for one in cells}
        show(listed, "", "json")
        return 0
    return clean(options.which, options.dir, options.yes)


def clean(which: Sequence[str], folder: Path, yes: bool) -> int:
    """Shows what is chosen and removes it once confirmed.

    Args:
        which: States and names; with none the folder's contents are counted.
        folder: Folder of the cells.
        yes: Whether to remove without asking.

    Returns:
        Exit code.

    Raises:
        ConfigError: There is no such folder or cell, one named is running, or nobody is there to be asked.
    """
    cells = find(folder)
    if not which:
        print(overview(cells, folder))
        return 0
    chosen = choose(cells, which, folder)
    if not chosen:
        print(f"no cell in {shown(folder.absolute())} is {' or '.join(which)}")
        return 0
    for one in chosen:
        print(f"{one.state:11} {amount(one.size):>8}  {shown(one.cell.path)}")
    total = f"{len(chosen)} cell{'s' if len(chosen) > 1 else ''}, {amount(sum(one.size for one in chosen))}"
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"{total}: add --yes to remove them")
        if input(f"Remove {total}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing removed")
            return 1
    with writing("it may be somebody else's; what came before it is removed", "removed"):
        removed = [one for one in chosen if remove(one.cell)]
    print(f"removed {len(removed)} of {total}")
    return 0


def find(folder: Path) -> list[SizedCell]:
    """Returns all cells below a folder.

    Raises:
        ConfigError: There is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"--dir {folder}: no such folder")
    cells = []
    for path in sorted(folder.absolute().glob("[!.]*/[!.]*-*")):
        if path.is_dir():
            cell = Cell(path)
            state = cell.status()["state"]
            cells.append(SizedCell(cell, state, cell.disk_bytes()))
    return cells


def overview(cells: Sequence[SizedCell], folder: Path) -> str:
    """Returns counts and sizes by state."""
    states = list(dict.fromkeys(one.state for one in cells))
    lines = []
    for state in states:
        sizes = [one.size for one in cells if one.state == state]
        lines.append(f"{state:11} {len(sizes):5}  {amount(sum(sizes)):>8}")
    return "\n".join([*lines, f"in {shown(folder.absolute())}; exp clean STATE ... removes those of a state"])


def choose(cells: Sequence[SizedCell], which: Sequence[str], folder: Path) -> list[SizedCell]:
    """Returns the cells of given states and names.

    Raises:
        ConfigError: A word is neither a state nor a cell; or that cell is running.
    """
    chosen = []
    for word in which:
        if word == "stale":
            chosen += [
                SizedCell(one.cell, "stale", one.size) for one in cells if one.state == "done" and changed(one.cell)
            ]
        elif word in STATES:
            chosen += [one for one in cells if one.state == word]
        else:
            path = Path(word).absolute()
            named = [one for one in cells if word in (one.cell.path.name, one.cell.key) or path == one.cell.path]
            if not named:
                raise ConfigError(f"{word}: no such state or cell in {folder}{nearest(word, _names(cells))}")
            chosen += named
    running = [one for one in chosen if one.state == "running"]
    if running:
        raise ConfigError(f"{running[0].cell.path.name} is running; stop it first")
    return list({one.cell.path: one for one in chosen}.values())


def _names(cells: Sequence[SizedCell]) -> list[str]:
    return [*STATES, *(one.cell.path.name for one in cells), *(one.cell.key for one in cells)]


def changed(cell: Cell) -> list[str]:
    """Returns what has changed since a cell was done: ``choices`` where they cannot be made any more."""
    fingerprint: str | None = None
    try:
        now = resolved(list(cell.resolved.overrides))
        content = cell.resolved.identity.get("data_content")
        now = now.on_data(content) if content else now
        if now.key != cell.key:
            return ["defaults"]
        fingerprint = now.config.data.reader().check()
    except ConfigError:
        return ["choices"]
    except DataError:
        pass
    return Cell(cell.path, now).stale(fingerprint)


def remove(cell: Cell) -> bool:
    """Removes a cell's directory unless somebody works on it; returns whether it is gone."""
    try:
        lock = cell.open()
    except Locked as holder:
        print(f"{cell.path.name} is {holder}: kept", file=sys.stderr)
        return False
    grave = cell.path.with_name(f".{cell.path.name}.removed")
    try:
        cell.path.rename(grave)
        shutil.rmtree(grave)
    finally:
        lock.release()
    return True

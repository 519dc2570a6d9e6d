"""``python -m exp.clean``: what lies in the folder of cells, and the removal of what is not wanted any more.

    python -m exp.clean                          counts and sizes, nothing else
    python -m exp.clean failed diverged          cells that failed or diverged
    python -m exp.clean interrupted              cells that were started and neither ended nor run now
    python -m exp.clean stale                    done cells whose code, data or defaults have changed since
    python -m exp.clean 1a2b3c4d5e               a cell by the hash at the end of its name, its name or its directory

It shows what and how much and asks; ``--yes`` answers. A running cell is never removed.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exp import registry
from exp.cell import Cell, read_json
from exp.config.compose import resolved
from exp.config.options import nearest
from exp.config.resolve import Resolved
from exp.errors import ConfigError, DataError
from exp.lock import Locked
from exp.terminal import amount, shown

STATES = ("failed", "diverged", "interrupted", "stale")
"""What can be removed by its state."""


@dataclass
class Found:
    """A cell, its state and its size in bytes."""

    cell: Cell
    state: str
    size: int


def main() -> None:
    """Shows, asks, removes; exits with 0, with 1 where the answer was no, with 2 where there is no such cell."""
    parser = argparse.ArgumentParser(prog="python -m exp.clean", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("which", nargs="*", help=f"{', '.join(STATES)}, or cells by name, hash or directory")
    parser.add_argument("--dir", default="multirun", type=Path, help="folder of the cells")
    parser.add_argument("--yes", action="store_true", help="remove without asking")
    given = parser.parse_args()
    try:
        sys.exit(clean(given.which, given.dir, given.yes))
    except ConfigError as error:
        print(f"exp.clean: {error}", file=sys.stderr)
        sys.exit(2)


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
    removed = [one for one in chosen if remove(one.cell)]
    print(f"removed {len(removed)} of {total}")
    return 0


def find(folder: Path) -> list[Found]:
    """All cells below a folder.

    Raises:
        ConfigError: There is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"--dir {folder}: no such folder")
    found = []
    for path in sorted(folder.absolute().glob("[!.]*/[!.]*-*")):
        if path.is_dir():
            slug, _, key = path.name.rpartition("-")
            named = {"task": {"name": path.parent.name}, "cells": {"dir": str(folder)}}
            cell = Cell(Resolved(named, {}, key, slug))
            state = cell.status()["state"]
            found.append(Found(cell, "interrupted" if state == "waiting" else state, cell.disk_bytes()))
    return found


def overview(cells: Sequence[Found], folder: Path) -> str:
    """Counts and sizes by state."""
    states = list(dict.fromkeys(one.state for one in cells))
    lines = []
    for state in states:
        sizes = [one.size for one in cells if one.state == state]
        lines.append(f"{state:11} {len(sizes):5}  {amount(sum(sizes)):>8}")
    return "\n".join([*lines, f"in {shown(folder.absolute())}; python -m exp.clean STATE ... removes those of a state"])


def choose(cells: Sequence[Found], which: Sequence[str], folder: Path) -> list[Found]:
    """The cells of given states and names.

    Raises:
        ConfigError: A word is neither a state nor a cell; or that cell is running.
    """
    chosen = []
    for word in which:
        if word == "stale":
            chosen += [Found(one.cell, "stale", one.size) for one in cells if one.state == "done" and changed(one.cell)]
        elif word in STATES:
            chosen += [one for one in cells if one.state == word]
        else:
            path = Path(word).absolute()
            named = [
                one for one in cells if word in (one.cell.path.name, one.cell.resolved.key) or path == one.cell.path
            ]
            if not named:
                raise ConfigError(f"{word}: no such state or cell in {folder}{nearest(word, _names(cells))}")
            chosen += named
    running = [one for one in chosen if one.state == "running"]
    if running:
        raise ConfigError(f"{running[0].cell.path.name} is running; stop it first")
    return list({one.cell.path: one for one in chosen}.values())


def _names(cells: Sequence[Found]) -> list[str]:
    return [*STATES, *(one.cell.path.name for one in cells), *(one.cell.resolved.key for one in cells)]


def changed(cell: Cell) -> list[str]:
    """What has changed since a cell was done; one whose choices cannot be made any more has changed in them."""
    record = read_json(cell.path / "config.json") or {}
    fingerprint: str | None = None
    try:
        now = resolved(list(record.get("overrides", [])))
        if now.key != cell.resolved.key:
            return ["defaults"]
        fingerprint = registry.source(now.config["data"]).check()
    except ConfigError:
        return ["choices"]
    except DataError:
        pass
    return Cell(now, cell.root).stale(fingerprint)


def remove(cell: Cell) -> bool:
    """Removes a cell's directory unless somebody works on it; whether it has."""
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


if __name__ == "__main__":
    main()

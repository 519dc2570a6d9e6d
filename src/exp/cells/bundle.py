"""Cells on their way from one machine to another: packed into a file, merged into a folder, exported for a paper."""

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from exp.cells.cell import Cell
from exp.cells.files import TABLES, read_json, replace_whole, write_json
from exp.options.errors import ConfigError

FORMAT = 1
"""Of the packed file; a later version reads earlier ones."""
FILES = ("config.json", "result.json", "metrics.jsonl")
"""What is taken of a cell; pictures and logs stay."""
CHECKPOINTS = ("best.ckpt", "last.ckpt")
LARGEST = 64 << 20
"""Bytes of a file other than a checkpoint that are read from a packed file."""

PRIVATE = ("host", "platform", "command")
"""Of a result: what names a machine or its folders."""


@dataclass(frozen=True)
class Merged:
    """What became of a cell.

    Attributes:
        name: Its folder's name.
        became: ``new``, ``same`` (done here too, with equal weights), ``equal`` (equal metrics, other weights),
            ``differs``, or ``kept`` (it is not done there).
        text: How it differs.
    """

    name: str
    became: Literal["new", "same", "equal", "differs", "kept"]
    text: str = ""


def pack(cells: Iterable[Cell], path: Path, *, checkpoints: bool = False, tables: Any = None) -> int:
    """Packs finished cells into a file and returns how many.

    Args:
        cells: The cells.
        path: The file.
        checkpoints: Whether their weights are packed, too.
        tables: What ``tables.json`` is to hold beside them.

    Raises:
        ConfigError: None of them is done.
    """
    done = [cell for cell in cells if cell.result() is not None]
    if not done:
        raise ConfigError("nothing to pack: no cell is done")
    wanted = (*FILES, *(CHECKPOINTS if checkpoints else ()))
    with replace_whole(path) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps({"format": FORMAT, "cells": len(done)}))
        if tables:
            archive.writestr(TABLES, json.dumps(tables))
        for cell in done:
            for name in wanted:
                if (cell.path / name).is_file():
                    archive.write(cell.path / name, f"{cell.task}/{cell.path.name}/{name}")
    return len(done)


def merge(source: Path, root: Path) -> Iterator[Merged]:
    """Takes the cells of a packed file or a folder into a folder of cells; what is done here is kept.

    Raises:
        ConfigError: The source is neither, or holds something that is no cell's.
    """
    with _opened(source) as folder:
        for path in sorted(folder.rglob("result.json")):
            yield _merged(Cell(path.parent), root)


def tables_of(source: Path) -> Any:
    """Returns what ``tables.json`` of a packed file or a folder holds, None where there is none.

    Raises:
        ConfigError: The source is neither.
    """
    with _opened(source) as folder:
        return read_json(folder / TABLES)


def _merged(theirs: Cell, root: Path) -> Merged:
    result = theirs.result()
    if result is None or not theirs.path.name.endswith(f"-{result.get('key')}"):
        raise ConfigError(f"{theirs.path}: holds no cell's result")
    folder = root / str(result["task"])
    known = sorted(folder.glob(f"*-{result['key']}")) if folder.is_dir() else []
    ours = Cell(known[0] if known else folder / theirs.path.name)
    mine = ours.result()
    if mine is not None:
        return _compared(ours.path.name, mine, result)
    if ours.lock_path.exists():
        return Merged(ours.path.name, "kept", "a process works on it here")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".merge-") as work:
        fresh = Path(work) / theirs.path.name
        fresh.mkdir()
        for name in (*FILES, *CHECKPOINTS):
            if (theirs.path / name).is_file():
                shutil.copyfile(theirs.path / name, fresh / name)
        if ours.path.exists():
            shutil.rmtree(ours.path)
        fresh.rename(ours.path)
    return Merged(ours.path.name, "new")


def _compared(name: str, mine: dict[str, Any], theirs: dict[str, Any]) -> Merged:
    """Compares two results of one cell: a measurement of how far it can be reproduced."""
    if mine.get("weights_sha256") == theirs.get("weights_sha256"):
        return Merged(name, "same")
    first, second = mine.get("test", {}), theirs.get("test", {})
    other = [
        f"{metric} {first.get(metric)} here, {second.get(metric)} there"
        for metric in dict.fromkeys([*first, *second])
        if first.get(metric) != second.get(metric)
    ]
    return Merged(name, "differs", "; ".join(other)) if other else Merged(name, "equal")


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """Gives a folder with the cells of a packed file, or the folder itself."""
    if source.is_dir():
        yield source
        return
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{source}: neither a folder of cells nor a packed file ({error})") from error
    with archive, tempfile.TemporaryDirectory() as work:
        for entry in archive.infolist():
            if entry.filename == "manifest.json":
                continue
            _extract(archive, entry, source, Path(work))
        yield Path(work)


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, source: Path, work: Path) -> None:
    parts = PurePosixPath(entry.filename).parts
    plain = len(parts) == 3 and all(re.fullmatch(r"[\w.+=,@~-]+", part) and part != ".." for part in parts)
    if parts != (TABLES,) and (not plain or parts[2] not in (*FILES, *CHECKPOINTS)):
        raise ConfigError(f"{source}: {entry.filename!r} is no file of a cell; nothing more was taken")
    if parts[-1] not in CHECKPOINTS and entry.file_size > LARGEST:
        raise ConfigError(f"{source}: {entry.filename} unpacks to {entry.file_size:,} bytes; nothing more was taken")
    path = work.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)


def export(cells: Iterable[Cell], folder: Path) -> int:
    """Writes results and curves of finished cells without paths and host names, and returns how many.

    The folder has the form of a folder of cells, so tables can be read from it.
    """
    count = 0
    for cell in cells:
        result = cell.result()
        if result is None:
            continue
        place = folder / cell.task / cell.path.name
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / "result.json", without_machine(result))
        if (cell.path / "metrics.jsonl").is_file():
            shutil.copyfile(cell.path / "metrics.jsonl", place / "metrics.jsonl")
        count += 1
    return count


def without_machine(result: dict[str, Any]) -> dict[str, Any]:
    """Returns a result without the machine's name, its folders, and what was typed there."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [cleaned(inner) for inner in value]
        if isinstance(value, str) and (value.startswith(("/", "~")) or re.search(r"(?:^|=)[/~]", value)):
            return None if value.startswith(("/", "~")) else value.partition("=")[0] + "=..."
        return value

    return {key: cleaned(value) for key, value in result.items() if key not in PRIVATE}


def cells_below(folder: Path) -> list[Cell]:
    """Returns the cells below a folder.

    Raises:
        ConfigError: There is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    return [Cell(path.parent) for path in sorted(folder.rglob("result.json")) if read_json(path)]

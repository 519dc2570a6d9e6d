"""The csv files of FER2013 and FER+, read strictly: every row is whole and in range, or the file is refused.

Goodfellow et al., "Challenges in Representation Learning: A report on three machine learning contests", 2013; Barsoum
et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", 2016.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exp.data.source import DataError, unreadable
from exp.tasks.fer.data.expression import EXPRESSIONS, FERPLUS, SIDE

USAGES = ("Training", "PublicTest", "PrivateTest")
"""Names of the parts in the order of the usages' numbers: training, validation, test."""

OFFICIAL = (
    (3995, 436, 4097, 7215, 4830, 3171, 4965),
    (467, 56, 496, 895, 653, 415, 607),
    (491, 55, 528, 879, 594, 416, 626),
)
"""Faces of each expression in Training, PublicTest and PrivateTest."""

PIXELS = SIDE * SIDE
UNKNOWN = 255
"""Number for an emotion or a usage that a file does not have."""

_NUMBERED = "Image name"
_FACE = re.compile(r"fer(\d+)\.png", re.ASCII)
_DESCENTS = 8  # names that may be smaller than the one before: the published file has four names twice
_CHUNK = 256  # rows parsed at a time
_VOTES = (*FERPLUS, "unknown", "NF")


def columns(path: Path) -> list[str]:
    """Returns the names in a csv file's first line; icml_face_data.csv has blanks before them, which are dropped.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except OSError as error:
        raise unreadable(path, error) from None
    except csv.Error as error:
        raise DataError(f"{path}: line 1: {error}") from None


def count_rows(path: Path) -> int:
    """Returns the number of rows after the first line, blank ones not counted.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open(newline="", encoding="latin-1") as file:  # ends lines as the csv reader does
            return max(sum(bool(line.strip()) for line in file) - 1, 0)
    except OSError as error:
        raise unreadable(path, error) from None


def read_faces(path: Path, wanted: tuple[str, ...], table: np.ndarray) -> None:
    """Reads a csv file of faces.

    Args:
        path: The file.
        wanted: Columns it has to have, among emotion, pixels and Usage.
        table: uint8 (rows, 2306), filled: the pixels, the emotion's number, the usage's number (see ``USAGES``).

    Raises:
        DataError: A row is not as it should be; the message names the file and the first such line.
    """
    names = columns_with(path, wanted)
    position = {name: names.index(name) for name in wanted}
    width, done = max(position.values()) + 1, 0
    for lines, rows in _chunks(path):
        if done + len(rows) > len(table):
            raise DataError(f"{path}: changed while it was read; run again")
        for line, row in zip(lines, rows, strict=True):
            if len(row) < width:
                raise DataError(f"{path}: line {line}: {len(row)} of {width} columns; the file seems cut off")
        part = table[done : done + len(rows)]
        part[:, :PIXELS] = _pixels(path, lines, [row[position["pixels"]] for row in rows])
        part[:, PIXELS:] = UNKNOWN
        if "emotion" in position:
            known = {str(number): number for number in range(len(EXPRESSIONS))}
            part[:, PIXELS] = _coded(path, lines, [row[position["emotion"]] for row in rows], known, "emotion")
        if "Usage" in position:
            known = {name: number for number, name in enumerate(USAGES)}
            part[:, PIXELS + 1] = _coded(path, lines, [row[position["Usage"]] for row in rows], known, "Usage")
        done += len(rows)
    if done != len(table):
        raise DataError(f"{path}: {done} rows where {len(table)} lines were counted; the file seems damaged")


def read_votes(path: Path, usages: np.ndarray) -> np.ndarray:
    """Reads FER+'s votes.

    Args:
        path: fer2013new.csv.
        usages: uint8 (N,), the usage of each row of fer2013.csv, with which the rows have to agree.

    Returns:
        uint8 (N, 10): votes for the eight classes, unknown and NF (no face).

    Raises:
        DataError: A row is not as it should be; the message names the file and the line.
    """
    names = columns_with(path, ("Usage", *_VOTES))
    places = [names.index(name) for name in _VOTES]
    numbers = names.index(_NUMBERED) if _NUMBERED in names else None
    last, descents = -1, 0
    votes = np.zeros((len(usages), len(_VOTES)), dtype=np.uint8)
    done = 0
    for lines, rows in _chunks(path):
        for line, row in zip(lines, rows, strict=True):
            if done == len(votes) or len(row) <= max(places):
                raise DataError(f"{path}: line {line}: not one row for each of the {len(votes)} faces")
            if row[names.index("Usage")].strip() != USAGES[usages[done]]:
                raise DataError(f"{path}: line {line}: is of another part than that face; rows do not correspond")
            cells = [row[place].strip() for place in places]
            if not all(cell.isdecimal() and int(cell) <= 10 for cell in cells):
                raise DataError(f"{path}: line {line}: votes {','.join(cells)} are not whole numbers up to 10")
            named = _FACE.fullmatch(row[numbers].strip()) if numbers is not None else None
            if named:
                descents += int(named[1]) < last
                last = int(named[1])
            if descents > _DESCENTS:
                raise DataError(f"{path}: line {line}: rows are not in the order of the images' names; get it again")
            votes[done] = [int(cell) for cell in cells]
            done += 1
    if done != len(votes):
        raise DataError(f"{path}: {done} rows for {len(votes)} faces; the file seems cut off")
    return votes


def columns_with(path: Path, wanted: tuple[str, ...]) -> list[str]:
    """Returns the names in a csv file's first line, the wanted ones among them.

    Raises:
        DataError: The file cannot be read or has no such columns.
    """
    names = columns(path)
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise DataError(f"{path}: line 1: has no column {', '.join(lacking)}, only {', '.join(names)[:200]}")
    return names


def _chunks(path: Path) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Yields line numbers and rows after the first line, some at a time; blank ones are passed over."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            next(reader, None)
            lines: list[int] = []
            rows: list[list[str]] = []
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                lines.append(reader.line_num)
                rows.append(row)
                if len(rows) == _CHUNK:
                    yield lines, rows
                    lines, rows = [], []
            if rows:
                yield lines, rows
    except OSError as error:
        raise unreadable(path, error) from None
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {error}") from None


def _coded(path: Path, lines: list[int], cells: list[str], known: dict[str, int], name: str) -> list[int]:
    """Returns the number of each cell of the column ``name``."""
    values = []
    for line, cell in zip(lines, cells, strict=True):
        code = known.get(cell.strip())
        if code is None:
            raise DataError(f"{path}: line {line}: {name} {cell.strip()[:40]!r} is not one of {', '.join(known)}")
        values.append(code)
    return values


def _pixels(path: Path, lines: list[int], cells: list[str]) -> np.ndarray:
    """Returns pixels, uint8 (rows, 2304).

    All rows are parsed as one array of characters; a single row is looked at only to name it in an error.
    """
    values, counts = _numbers(cells)
    if values is None or (counts != PIXELS).any():
        for line, cell in zip(lines, cells, strict=True):
            values, counts = _numbers([cell])
            if values is None:
                raise DataError(f"{path}: line {line}: pixels have to be whole numbers from 0 to 255")
            if counts[0] != PIXELS:
                raise DataError(
                    f"{path}: line {line}: {counts[0]} pixels instead of {PIXELS} ({SIDE}x{SIDE}); the row is cut off"
                    " or of another size"
                )
    assert values is not None
    return values.reshape(len(cells), PIXELS)


def _numbers(cells: list[str]) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns all numbers of some rows, uint8 in order, and each row's count; None where something is no pixel."""
    text = np.frombuffer((" ".join(cells) + " ").encode("ascii", "replace"), dtype=np.uint8)
    digit = text - np.uint8(48)  # wraps, so that only '0'..'9' are below 10
    is_digit = digit < 10
    ends = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    starts = np.flatnonzero(is_digit & ~np.concatenate(([False], is_digit[:-1])))
    lengths = np.fromiter(map(len, cells), dtype=np.int64, count=len(cells)) + 1
    counts = np.diff(np.searchsorted(starts, np.concatenate(([0], np.cumsum(lengths)))))
    width = ends - starts + 1
    if not (is_digit | (text == 32)).all() or (len(width) and width.max() > 3):
        return None, counts
    value = digit[ends].astype(np.int16)
    value += np.where(width > 1, digit[ends - 1], 0).astype(np.int16) * 10
    value += np.where(width > 2, digit[ends - 2], 0).astype(np.int16) * 100
    return (None if len(value) and value.max() > 255 else value.astype(np.uint8)), counts

"""Text files and names as people have them: byte order marks, the line ends of any system, numbers without zeros."""

import codecs
import os
import re
from pathlib import Path

from exp.data.source import DataError, unreadable

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DRIVE = re.compile(r"[A-Za-z]:/")


def read_lines_of(path: Path, expected: str) -> list[str]:
    """Returns the lines of a text file without their ends; an empty last line is none.

    Args:
        path: The file: UTF-8, with or without a byte order mark, or UTF-16 with one.
        expected: What it should hold, for the message.

    Raises:
        DataError: The file cannot be read or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file (byte {error.start}: {error.reason}); {expected}") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def natural(name: str) -> list[str | int]:
    """Returns by what names are sorted as people count: ``frame2`` before ``frame10``."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split("([0-9]+)", name))]


def refuse_unreadable_name(path: str) -> None:
    """Refuses a file or folder whose name is no UTF-8, which could be neither printed nor written down.

    Raises:
        DataError: It is so.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise DataError(f"{shown}: the name is not UTF-8 (an older system's encoding?); rename it") from None


def relative_name(name: str, where: str) -> str:
    r"""Returns a file's name relative to its set's folder, ``a/b.jpg`` for ``/a/b.jpg``, ``./a/b.jpg`` or ``a\b.jpg``.

    Args:
        name: As a list has it.
        where: File and line of the list, for the message.

    Raises:
        DataError: The name leads out of the folder.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or _DRIVE.match(name.replace("\\", "/")) or "\0" in name or not parts:
        raise DataError(f"{where}: {name!r} leads out of the set's folder; names have to be relative to it")
    return "/".join(parts)

"""FER2013 as class folders of image files: which files there are, of which part each is, and their pixels."""

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exp.data.decode import ENDINGS, read_grey
from exp.data.source import DataError, say_once, unreadable
from exp.data.text import refuse_unreadable_name
from exp.tasks.fer.data.expression import EXPRESSIONS, SIDE
from exp.tasks.fer.data.fer_csv import OFFICIAL, PIXELS, USAGES

_PARTS = ("test", "train", "val", "validation")
_SYNONYMS = {"anger": "angry", "happiness": "happy", "sadness": "sad", "surprised": "surprise", "fearful": "fear"}
_FILE = re.compile(r"(?:(Training|PublicTest|PrivateTest)_)?(\d+)", re.ASCII)
_CHUNK = 64  # images decoded by a thread at a time


class FaceFile(NamedTuple):
    """An image file of one face."""

    name: str
    """Relative to the folder that holds ``train/CLASS`` and so on."""
    emotion: int
    """Number of the class."""
    usage: int
    """Number of the part, see ``USAGES``."""


def face_files(root: Path) -> list[FaceFile]:
    """Returns every image, ordered by usage and name.

    The usage follows from the prefix of the file's name; a bare number is the face's row in fer2013.csv. The folders
    train, test and validation (or val) decide nothing: msambare's test holds PublicTest and PrivateTest together,
    jonathanoheix's validation is another split altogether.

    Args:
        root: Folder that holds ``train/CLASS`` and so on.

    Raises:
        DataError: The class or part of a folder or file cannot be known by its name, or there are no images.
    """
    files = []
    left_out: Counter[str] = Counter()
    try:
        for part in (entry.name for entry in _listed(root) if entry.name in _PARTS):
            for folder in (entry for entry in _listed(root / part) if entry.is_dir()):
                expression = _SYNONYMS.get(folder.name.lower(), folder.name.lower())
                if expression not in EXPRESSIONS:
                    raise DataError(f"{folder.path}: not one of the folders {', '.join(EXPRESSIONS)}")
                for entry in _listed(Path(folder.path)):
                    refuse_unreadable_name(entry.path)
                    stem, ending = os.path.splitext(entry.name)
                    if ending.lower() not in ENDINGS:
                        left_out[ending.lower() or "without ending"] += 1
                        continue
                    name = f"{part}/{folder.name}/{entry.name}"
                    files.append(FaceFile(name, EXPRESSIONS.index(expression), _usage(stem, entry.path)))
    except OSError as error:
        raise unreadable(error.filename, error) from None
    if left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        say_once(f"FER2013: {root}: left out {reasons} (images are {', '.join(ENDINGS)})")
    if not files:
        raise DataError(f"{root}: the class folders hold no images ({', '.join(ENDINGS)})")
    return sorted(files, key=lambda file: (file.usage, file.name))


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Returns what is in a folder by name, hidden entries left out."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _usage(stem: str, path: str) -> int:
    """Returns the usage of a file from its name without the ending.

    Raises:
        DataError: The name is of another form.
    """
    match = _FILE.fullmatch(stem)
    ends = np.cumsum([sum(counts) for counts in OFFICIAL])
    if match is None or (match[1] is None and int(match[2]) >= ends[-1]):
        raise DataError(
            f"{path}: the name should be {USAGES[0]}_N, {USAGES[1]}_N, {USAGES[2]}_N or a row of fer2013.csv; without"
            " it the face's part is not known"
        )
    return USAGES.index(match[1]) if match[1] else int(np.searchsorted(ends, int(match[2]), "right"))


def read_files(root: Path, files: list[FaceFile], table: np.ndarray) -> None:
    """Reads the images, several at a time.

    Args:
        root: Folder to which the files' names are relative.
        files: See ``face_files``.
        table: uint8 (files, 2306), filled: the pixels, the emotion's number, the usage's number.

    Raises:
        DataError: An image cannot be read or is of another size; the message names it.
    """

    def read(start: int) -> None:
        for row, file in enumerate(files[start : start + _CHUNK], start):
            image = read_grey(root / file.name)
            if image.shape != (SIDE, SIDE):
                height, width = image.shape
                raise DataError(f"{root / file.name}: is {width}x{height} pixels instead of {SIDE}x{SIDE}")
            table[row, :PIXELS] = image.ravel()
            table[row, PIXELS:] = file.emotion, file.usage

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        runs = [pool.submit(read, start) for start in range(0, len(files), _CHUNK)]
        try:
            for run in runs:
                run.result()
        finally:
            pool.shutdown(cancel_futures=True)

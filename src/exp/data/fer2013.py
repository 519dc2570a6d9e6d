"""FER2013 in all the forms in which it goes round, with FER+'s votes where they are wanted.

Goodfellow et al., "Challenges in Representation Learning: A report on three machine learning contests", 2013.
PublicTest is the validation part, PrivateTest the test part, whatever the form. The files are read once a machine into
a compact array (see `exp.data.cache`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from exp.data import fer_csv, fingerprint
from exp.data.cache import cache_folder, cached_array
from exp.data.decode import ENDINGS, read_grey
from exp.data.duplicates import exact, near
from exp.data.expression import EXACT, EXPRESSIONS, FERPLUS, NEAR, SIDE, ExpressionSplit
from exp.data.fer_csv import PIXELS, UNKNOWN, USAGES
from exp.data.partition import check_fraction, holdout_rank
from exp.data.source import ROOT_VARIABLE, DataError, Split, find_root, unreadable

OFFICIAL = (
    (3995, 436, 4097, 7215, 4830, 3171, 4965),
    (467, 56, 496, 895, 653, 415, 607),
    (491, 55, 528, 879, 594, 416, 626),
)
"""Faces of each expression in Training, PublicTest and PrivateTest."""

_NAME = "FER2013"
_WHERE = (
    "kaggle.com: challenges-in-representation-learning-facial-expression-recognition-challenge, or msambare/fer2013"
)
_CSV = ("fer2013.csv", "icml_face_data.csv")
_FOLDERS = (("train", "test"), ("train", "validation"))
_DEFAULT_HELD = 0.125
_CACHE_FORMAT = 1  # to be raised whenever the same files would be read otherwise
_TAGGERS_LOST = 1  # votes of a single tagger are taken for mistakes, as FER+'s authors do
_SYNONYMS = {"anger": "angry", "happiness": "happy", "sadness": "sad", "surprised": "surprise", "fearful": "fear"}
_FILE = re.compile(r"(?:(Training|PublicTest|PrivateTest)_)?(\d+)", re.ASCII)

Layout = Literal["auto", "csv", "kaggle", "folder"]


@dataclass(frozen=True)
class _Found:
    """Where the faces are: the layout, a csv file or the folder of the class folders, and FER+'s file."""

    layout: str
    path: Path
    votes: Path | None


class FER2013:
    """FER2013: 28,709 + 3,589 + 3,589 grey faces of 48x48, seven expressions.

    Args:
        root: the folder; None for EXP_DATA.
        layout: csv (fer2013.csv or icml_face_data.csv), kaggle (the competition's train.csv, whose test.csv has no
            labels: parts for validation and test are held out of train.csv), folder (train/CLASS/*.jpg with test/ or
            validation/, split by the files' names), or auto for the first of these that is there.
        val_fraction: share of train.csv held out for validation, and as much again for the test; null means 0.125.
            Not to be given for the other layouts, which have parts of their own.
        labels: fer (the competition's) or ferplus (fer2013new.csv; eight classes, faces with their taggers'
            distribution; layout csv only).
        counts: official refuses a set whose classes are not as numerous as they should be; any takes what is there.
        copies: keep, or drop the training faces of which validation or test have an exact copy.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        layout: Layout = "auto",
        val_fraction: float | None = None,
        labels: Literal["fer", "ferplus"] = "fer",
        counts: Literal["official", "any"] = "official",
        copies: Literal["keep", "drop"] = "keep",
    ) -> None:
        for option, value, known in (
            ("layout", layout, ("auto", "csv", "kaggle", "folder")),
            ("labels", labels, ("fer", "ferplus")),
            ("counts", counts, ("official", "any")),
            ("copies", copies, ("keep", "drop")),
        ):
            if value not in known:
                raise ValueError(f"{option} must be one of {', '.join(known)}, not {value}")
        self.root = root
        self.layout = layout
        self.val_fraction = None if val_fraction is None else check_fraction(val_fraction, "val_fraction")
        self.labels = labels
        self.counts = counts
        self.copies = copies
        self._found: _Found | None = None

    @property
    def num_classes(self) -> int:
        """7, or FER+'s 8."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, 48, 48)."""
        return 1, SIDE, SIDE

    @property
    def class_names(self) -> list[str]:
        """In the order of the class numbers."""
        return list(EXPRESSIONS if self.labels == "fer" else FERPLUS)

    def check(self) -> str:
        """See `Source.check`; covers the contents of csv files, the names and sizes of images."""
        found = self._find()
        if found.layout == "folder":
            return fingerprint.of_names((name, size) for name, size, *_ in _files(found.path))
        if found.layout == "csv":
            self._check_columns(found.path, ("emotion", "pixels", "Usage"))
        else:
            self._check_columns(found.path, ("emotion", "pixels"))
        return _remembered([found.path, *([found.votes] if found.votes else [])])[0]

    def load(self) -> dict[str, Split]:
        """See `Source.load`; the parts are `ExpressionSplit`s. The first call on a machine reads all files.

        Raises:
            DataError: also where the classes are not as numerous as they should be.
        """
        found = self._find()
        folder = cache_folder() / "fer2013" / f"{self.check()}-v{_CACHE_FORMAT}"
        table = self._table(found, folder)
        images = np.array(table[:, :PIXELS]).reshape(-1, SIDE, SIDE)
        emotions, usages = np.array(table[:, PIXELS]), np.array(table[:, PIXELS + 1])
        if found.layout == "kaggle":
            usages = self._held_out(emotions)
        if self.counts == "official":
            self._check_counts(found, emotions, usages)
        copies = self._copies(folder, images, usages)
        labels, votes, kept = emotions.astype(np.int64), None, np.ones(len(emotions), dtype=bool)
        if self.labels == "ferplus":
            assert found.votes is not None
            votes, labels, kept = _decided(self._votes(found.votes, folder, usages))
        if self.copies == "drop":
            kept &= (usages != 0) | ~exact(images[usages != 0], images)
        parts: dict[str, Split] = {}
        for usage, name in enumerate(("train", "val", "test")):
            rows = np.flatnonzero(kept & (usages == usage))
            if not len(rows):
                raise DataError(f"{found.path}: has no faces of {USAGES[usage]}; the {name} part would be empty")
            parts[name] = ExpressionSplit(
                images[rows][:, None], labels[rows], copies[rows], votes[rows] if votes is not None else None
            )
        return parts

    def _find(self) -> _Found:
        if self._found is None:
            self._found = self._look()
            if self._found.layout != "kaggle" and self.val_fraction is not None:
                raise DataError(
                    f"{_NAME}: {self._found.path} has its own validation part, so val_fraction splits nothing; leave"
                    " it out"
                )
        return self._found

    def _look(self) -> _Found:
        where = {
            "csv": [[f"fer2013/{name}"] for name in _CSV],
            "folder": [[f"fer2013/{name}" for name in pair] for pair in _FOLDERS],
            "kaggle": [["fer2013/train.csv"]],
        }
        layouts = ("csv", "folder", "kaggle") if self.layout == "auto" else (self.layout,)
        problems = []
        for layout in layouts:
            for wanted in where[layout]:
                try:
                    root = find_root(self.root, wanted, _NAME, _WHERE)
                except DataError as error:
                    problems.append(error)
                    continue
                return _Found(
                    layout, root if layout == "folder" else root / Path(wanted[0]).name, self._votes_file(root, layout)
                )
        if "found no" not in str(problems[0]):
            raise problems[0]
        names = {"csv": ", ".join(_CSV), "folder": "train/CLASS with test/CLASS", "kaggle": "train.csv"}
        base = self.root or os.environ.get(ROOT_VARIABLE)
        raise DataError(f"{_NAME}: found no {', '.join(names[layout] for layout in layouts)} in {base}; get {_WHERE}")

    def _votes_file(self, root: Path, layout: str) -> Path | None:
        if self.labels == "fer":
            return None
        path = root / "fer2013new.csv"
        if layout != "csv":
            raise DataError(f"{_NAME}: labels=ferplus needs fer2013.csv or icml_face_data.csv, whose rows it follows")
        if not path.is_file():
            raise DataError(f"{_NAME}: {path} is missing; labels=ferplus needs it, from github.com/microsoft/FERPlus")
        return path

    @staticmethod
    def _check_columns(path: Path, wanted: tuple[str, ...]) -> None:
        names = fer_csv.columns(path)
        lacking = [name for name in wanted if name not in names]
        if lacking:
            listed = ", ".join(names)[:200]
            raise DataError(f"{path}: line 1: has no column {', '.join(lacking)}, only {listed}")

    def _table(self, found: _Found, folder: Path) -> np.ndarray:
        """uint8 (N, 2306): pixels, emotion, usage; a memory map."""
        if found.layout == "folder":
            files = _files(found.path)

            def decode(array: np.ndarray) -> None:
                _decode(found.path, files, array)

            return cached_array(folder / "faces.npy", (len(files), PIXELS + 2), decode)
        rows = _remembered([found.path])[1]
        wanted = ("emotion", "pixels", "Usage") if found.layout == "csv" else ("emotion", "pixels")

        def read(array: np.ndarray) -> None:
            fer_csv.read_faces(found.path, wanted, array)

        return cached_array(folder / "faces.npy", (rows, PIXELS + 2), read)

    @staticmethod
    def _votes(path: Path, folder: Path, usages: np.ndarray) -> np.ndarray:
        """uint8 (N, 10)."""

        def read(array: np.ndarray) -> None:
            array[:] = fer_csv.read_votes(path, usages)

        return cached_array(folder / "votes.npy", (len(usages), len(FERPLUS) + 2), read)

    def _held_out(self, emotions: np.ndarray) -> np.ndarray:
        """Usages of train.csv: stratified parts for validation and test, the same for every seed."""
        share = _DEFAULT_HELD if self.val_fraction is None else self.val_fraction
        if not 0 < share < 0.5:
            raise DataError(f"{_NAME}: val_fraction={share:g} is held out twice of train.csv; take 0.01 to 0.49")
        rank = holdout_rank(emotions)
        return np.where(rank < share, 1, np.where(rank < 2 * share, 2, 0)).astype(np.uint8)

    @staticmethod
    def _check_counts(found: _Found, emotions: np.ndarray, usages: np.ndarray) -> None:
        kaggle = found.layout == "kaggle"
        for usage, official in enumerate(OFFICIAL[:1] if kaggle else OFFICIAL):
            chosen = emotions if kaggle else emotions[usages == usage]
            counts = tuple(np.bincount(chosen, minlength=len(EXPRESSIONS)).tolist())
            if counts != official:
                raise DataError(
                    f"{found.path}: {USAGES[usage]} has {sum(counts)} faces, by class {list(counts)}, instead of"
                    f" {sum(official)}, {list(official)}; get the set again, or take data.counts=any for a cleaned one"
                )

    def _copies(self, folder: Path, images: np.ndarray, usages: np.ndarray) -> np.ndarray:
        """uint8 (N,), see `ExpressionSplit.copies`."""
        digest = hashlib.sha256(usages.tobytes()).hexdigest()[:8]

        def compare(array: np.ndarray) -> None:
            for usage in (1, 2):
                earlier, later = images[usages < usage], images[usages == usage]
                same = exact(earlier, later)
                array[usages == usage] = same * EXACT + (near(earlier, later) & ~same) * NEAR

        return np.array(cached_array(folder / f"copies-{digest}.npy", (len(images),), compare))


def _decided(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What FER+'s taggers decided.

    A class with a single vote is taken for a mistake. A face is kept where one of the eight classes has more than half
    of the votes that remain, votes for unknown and no face counted.

    Args:
        votes: uint8 (N, 10).

    Returns:
        float32 (N, 8) distribution over the classes, int64 (N,) the majority's class, bool (N,) whether there is one.
    """
    counted = np.where(votes > _TAGGERS_LOST, votes, 0).astype(np.float32)
    classes = counted[:, : len(FERPLUS)]
    labels = classes.argmax(1)
    kept = classes.max(1) > counted.sum(1) / 2
    shares = classes / np.maximum(classes.sum(1, keepdims=True), 1)
    return shares, labels.astype(np.int64), kept


def _remembered(paths: list[Path]) -> tuple[str, int]:
    """Fingerprint over the contents of some csv files, and the rows of the first.

    A file of 300 MB is not read again at each start: what was found is noted in the cache under the files' sizes and
    times of change.
    """
    try:
        states = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    except OSError as error:
        raise unreadable(error.filename, error) from None
    name = hashlib.sha256(repr(states).encode()).hexdigest()[:16]
    note = cache_folder() / "fer2013" / "known" / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text())
        return str(known["fingerprint"]), int(known["rows"])
    digest, rows = fingerprint.of_files(paths), fer_csv.count_rows(paths[0])
    with suppress(OSError):  # only a shortcut; a cache that cannot be written is an error where it is needed
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_name(f".{note.name}.{os.getpid()}")
        fresh.write_text(json.dumps({"fingerprint": digest, "rows": rows}))
        os.replace(fresh, note)
    return digest, rows


def _files(root: Path) -> list[tuple[str, int, int, int]]:
    """Relative name, size, emotion and usage of every image, ordered by usage and name.

    The usage is told by the name's prefix; a bare number is the face's row in fer2013.csv. The folder train or
    validation is not looked at: msambare's test holds PublicTest and PrivateTest together, jonathanoheix's validation
    is another split altogether.
    """
    found = []
    first = np.cumsum([0, *map(sum, OFFICIAL)])
    try:
        for part in sorted(entry.name for entry in os.scandir(root) if entry.name in ("train", "test", "validation")):
            for group in sorted(entry.name for entry in os.scandir(root / part) if entry.is_dir()):
                name = _SYNONYMS.get(group.lower(), group.lower())
                if name not in EXPRESSIONS:
                    raise DataError(f"{root / part / group}: not one of the folders {', '.join(EXPRESSIONS)}")
                for entry in sorted(os.scandir(root / part / group), key=lambda entry: entry.name):
                    stem, ending = os.path.splitext(entry.name)
                    if ending.lower() not in ENDINGS or entry.name.startswith("."):
                        continue
                    match = _FILE.fullmatch(stem)
                    if match is None or (match[1] is None and int(match[2]) >= first[-1]):
                        raise DataError(
                            f"{entry.path}: the name should be {USAGES[0]}_N, {USAGES[1]}_N, {USAGES[2]}_N or a row of"
                            " fer2013.csv; without it the face's part is not known"
                        )
                    usage = USAGES.index(match[1]) if match[1] else int(np.searchsorted(first, int(match[2]), "right"))
                    place = (f"{part}/{group}/{entry.name}", entry.stat().st_size)
                    found.append((*place, EXPRESSIONS.index(name), usage - (0 if match[1] else 1)))
    except OSError as error:
        raise unreadable(error.filename, error) from None
    if not found:
        raise DataError(f"{root}: the class folders hold no images ({', '.join(ENDINGS)})")
    return sorted(found, key=lambda file: (file[3], file[0]))


def _decode(root: Path, files: list[tuple[str, int, int, int]], array: np.ndarray) -> None:
    def decode(start: int) -> None:
        for row in range(start, min(start + 64, len(files))):
            name, _, emotion, usage = files[row]
            image = read_grey(root / name)
            if image.shape != (SIDE, SIDE):
                height, width = image.shape
                raise DataError(f"{root / name}: is {width}x{height} pixels instead of {SIDE}x{SIDE}")
            array[row, :PIXELS] = image.ravel()
            array[row, PIXELS:] = emotion, usage

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        runs = [pool.submit(decode, start) for start in range(0, len(files), 64)]
        try:
            for run in runs:
                run.result()
        finally:
            pool.shutdown(cancel_futures=True)


__all__ = ["FER2013", "OFFICIAL", "UNKNOWN"]

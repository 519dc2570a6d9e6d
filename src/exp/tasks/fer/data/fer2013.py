"""FER2013 in all the forms in which it is distributed, with FER+'s votes where they are wanted.

Goodfellow et al., "Challenges in Representation Learning: A report on three machine learning contests", 2013.
PublicTest is the validation part, PrivateTest the test part, whatever the form. The files are read once a machine into
a compact array (see ``exp.data.cache``).
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from exp.data import fingerprint
from exp.data.cache import cache_folder, cached_array
from exp.data.partition import holdout_rank
from exp.data.source import ROOT_VARIABLE, DataError, Split, find_root, unreadable
from exp.tasks.fer.data import fer_csv
from exp.tasks.fer.data.duplicates import exact, near
from exp.tasks.fer.data.expression import EXACT, EXPRESSIONS, FERPLUS, NEAR, SIDE, ExpressionSplit
from exp.tasks.fer.data.fer_csv import OFFICIAL, PIXELS, USAGES
from exp.tasks.fer.data.fer_folders import face_files, read_files
from exp.tasks.fer.options import FER2013Options

_NAME = "FER2013"
_WHERE = (
    "kaggle.com: challenges-in-representation-learning-facial-expression-recognition-challenge, or msambare/fer2013"
)
_CSV = ("fer2013.csv", "icml_face_data.csv")
_FOLDERS = (("train", "test"), ("train", "validation"), ("train", "val"))
_DEFAULT_HELD = 0.125
_CACHE_FORMAT = 1  # to be raised whenever the same files would be read otherwise
_SAME_AS = tuple(
    EXPRESSIONS.index(name) if name in EXPRESSIONS else -1
    for name in ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
)
"""FER2013's class for each of FER+'s; there is none for contempt."""
_ENOUGH, _AGREE = 300, 0.4  # faces from which on agreement is judged, and its least share; chance is about 0.2
_SINGLE_VOTE = 1  # a class with no more votes than this is taken for a slip, as FER+'s authors do


@dataclass(frozen=True)
class _Files:
    """Where the faces are.

    Attributes:
        layout: Form of the files.
        path: The csv file, or the folder of the class folders.
        votes: FER+'s file, None where its votes are not wanted.
    """

    layout: Literal["csv", "kaggle", "folder"]
    path: Path
    votes: Path | None


class FER2013:
    """Reader of FER2013: 28,709 + 3,589 + 3,589 grey faces of 48x48, seven expressions.

    Args:
        options: See ``FER2013Options``.
        given: Options by name, instead of ``options``.
    """

    def __init__(self, options: FER2013Options | None = None, **given: Any) -> None:
        self.options = FER2013Options.of(options, given)
        self._files: _Files | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes: 7, or FER+'s 8."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a face: (1, 48, 48)."""
        return 1, SIDE, SIDE

    @property
    def class_names(self) -> list[str]:
        """Names in the order of the class numbers."""
        return list(EXPRESSIONS if self.options.labels == "fer" else FERPLUS)

    def check(self) -> str:
        """Returns the fingerprint, see ``Source.check``: of the csv files' or the images' contents."""
        files = self._find()
        if files.layout == "folder":
            return fingerprint.of_tree(files.path, [file.name for file in face_files(files.path)])
        fer_csv.columns_with(files.path, _columns(files.layout))
        return _remembered([files.path, *([files.votes] if files.votes else [])])[0]

    def load(self) -> dict[str, Split]:
        """Returns the parts, see ``Source.load``: ``ExpressionSplit``s. The first call on a machine reads all files.

        Raises:
            DataError: Files are missing or damaged, or the classes are not as numerous as they should be.
        """
        files = self._find()
        folder = cache_folder() / "fer2013" / f"{self.check()}-v{_CACHE_FORMAT}"
        table = self._table(files, folder)
        images = np.array(table[:, :PIXELS]).reshape(-1, SIDE, SIDE)
        emotions, usages = np.array(table[:, PIXELS]), np.array(table[:, PIXELS + 1])
        if files.layout == "kaggle":
            usages = self._held_out(emotions)
        for usage, name in enumerate(USAGES):
            if not (usages == usage).any():
                raise DataError(f"{files.path}: has no faces of {name}; get the whole set")
        if self.options.counts == "official":
            self._check_counts(files, emotions, usages)
        copies = self._copies(folder, images, usages)
        labels, votes, kept = emotions.astype(np.int64), None, np.ones(len(emotions), dtype=bool)
        if self.options.labels == "ferplus":
            assert files.votes is not None
            votes, labels, kept = _decided(self._votes(files.votes, folder, usages))
            _refuse_unrelated(files.votes, labels[kept], emotions[kept])
        if self.options.copies == "drop":
            kept &= (usages != 0) | ~exact(images[usages != 0], images)
        parts: dict[str, Split] = {}
        for usage, name in enumerate(("train", "val", "test")):
            rows = np.flatnonzero(kept & (usages == usage))
            if not len(rows):
                raise DataError(f"{files.path}: has no faces of {USAGES[usage]}; the {name} part would be empty")
            parts[name] = ExpressionSplit(
                images[rows][:, None], labels[rows], copies[rows], votes[rows] if votes is not None else None
            )
        return parts

    def _find(self) -> _Files:
        """Returns where the faces are, looked for once."""
        if self._files is None:
            self._files = self._look()
            if self._files.layout != "kaggle" and self.options.val_fraction is not None:
                raise DataError(
                    f"{_NAME}: {self._files.path} has its own validation part, so val_fraction splits nothing; leave"
                    " it out"
                )
        return self._files

    def _look(self) -> _Files:
        """Returns the files of the wanted layout, or of the first layout that is there."""
        where: dict[Literal["csv", "folder", "kaggle"], list[list[str]]] = {
            "csv": [[f"fer2013/{name}"] for name in _CSV],
            "folder": [[f"fer2013/{name}" for name in pair] for pair in _FOLDERS],
            "kaggle": [["fer2013/train.csv"]],
        }
        layouts = list(where) if self.options.layout == "auto" else [self.options.layout]
        problems = []
        for layout in layouts:
            for wanted in where[layout]:
                try:
                    root = find_root(self.options.root, wanted, _NAME, _WHERE)
                except DataError as error:
                    problems.append(error)
                    continue
                path = root if layout == "folder" else root / Path(wanted[0]).name
                return _Files(layout, path, self._votes_file(root, layout))
        if "found no" not in str(problems[0]):  # there is no folder, or a part of the files is missing
            raise problems[0]
        names = {"csv": ", ".join(_CSV), "folder": "train/CLASS with test/CLASS", "kaggle": "train.csv"}
        base = self.options.root or os.environ.get(ROOT_VARIABLE)
        raise DataError(f"{_NAME}: found no {', '.join(names[layout] for layout in layouts)} in {base}; get {_WHERE}")

    def _votes_file(self, root: Path, layout: str) -> Path | None:
        """Returns FER+'s file, None where its votes are not wanted."""
        if self.options.labels == "fer":
            return None
        path = root / "fer2013new.csv"
        if layout != "csv":
            raise DataError(f"{_NAME}: labels=ferplus needs fer2013.csv or icml_face_data.csv, whose rows it follows")
        if not path.is_file():
            raise DataError(f"{_NAME}: {path} is missing; labels=ferplus needs it, from github.com/microsoft/FERPlus")
        return path

    @staticmethod
    def _table(files: _Files, folder: Path) -> np.ndarray:
        """Returns pixels, emotion and usage of each face, uint8 (N, 2306), as a memory map."""
        if files.layout == "folder":
            faces = face_files(files.path)

            def decode(array: np.ndarray) -> None:
                read_files(files.path, faces, array)

            return cached_array(folder / "faces.npy", (len(faces), PIXELS + 2), decode)

        def read(array: np.ndarray) -> None:
            fer_csv.read_faces(files.path, _columns(files.layout), array)

        rows = _remembered([files.path])[1]
        return cached_array(folder / "faces.npy", (rows, PIXELS + 2), read)

    @staticmethod
    def _votes(path: Path, folder: Path, usages: np.ndarray) -> np.ndarray:
        """Returns FER+'s votes for each face, uint8 (N, 10)."""

        def read(array: np.ndarray) -> None:
            array[:] = fer_csv.read_votes(path, usages)

        return cached_array(folder / "votes.npy", (len(usages), len(FERPLUS) + 2), read)

    def _held_out(self, emotions: np.ndarray) -> np.ndarray:
        """Returns usages for train.csv: stratified parts for validation and test, the same for every seed."""
        share = _DEFAULT_HELD if self.options.val_fraction is None else self.options.val_fraction
        rank = holdout_rank(emotions)
        return np.where(rank < share, 1, np.where(rank < 2 * share, 2, 0)).astype(np.uint8)

    @staticmethod
    def _check_counts(files: _Files, emotions: np.ndarray, usages: np.ndarray) -> None:
        """Raises DataError where the classes are not as numerous as they officially are."""
        kaggle = files.layout == "kaggle"
        for usage, official in enumerate(OFFICIAL[:1] if kaggle else OFFICIAL):
            chosen = emotions if kaggle else emotions[usages == usage]
            counts = tuple(np.bincount(chosen, minlength=len(EXPRESSIONS)).tolist())
            if counts != official:
                raise DataError(
                    f"{files.path}: {USAGES[usage]} has {sum(counts)} faces, by class {list(counts)}, instead of"
                    f" {sum(official)}, {list(official)}; get the set again, or take data.counts=any for a cleaned one"
                )

    def _copies(self, folder: Path, images: np.ndarray, usages: np.ndarray) -> np.ndarray:
        """Returns whether each face is a copy, uint8 (N,), see ``ExpressionSplit.copies``."""
        digest = hashlib.sha256(usages.tobytes()).hexdigest()[:8]

        def compare(array: np.ndarray) -> None:
            for usage in (1, 2):
                earlier, later = images[usages < usage], images[usages == usage]
                same = exact(earlier, later)
                array[usages == usage] = same * EXACT + (near(earlier, later) & ~same) * NEAR

        return np.array(cached_array(folder / f"copies-{digest}.npy", (len(images),), compare))


def _decided(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what FER+'s taggers decided.

    A class with a single vote is taken for a slip. A face is kept where one of the eight classes has more than half
    of the votes that remain, votes for unknown and no face counted.

    Args:
        votes: uint8 (N, 10).

    Returns:
        float32 (N, 8) distribution over the classes, int64 (N,) the majority's class, bool (N,) whether there is one.
    """
    counted = np.where(votes > _SINGLE_VOTE, votes, 0).astype(np.float32)
    classes = counted[:, : len(FERPLUS)]
    labels = classes.argmax(1)
    kept = classes.max(1) > counted.sum(1) / 2
    shares = classes / np.maximum(classes.sum(1, keepdims=True), 1)
    return shares, labels.astype(np.int64), kept


def _refuse_unrelated(path: Path, labels: np.ndarray, emotions: np.ndarray) -> None:
    """Refuses votes that seem to be other faces': those of the published rows agree with 63 % of FER2013's labels.

    Args:
        path: FER+'s file, for the message.
        labels: (N,) classes of FER+.
        emotions: (N,) classes of FER2013.

    Raises:
        DataError: There are enough faces to tell, and few labels agree.
    """
    agree = np.array(_SAME_AS)[labels] == emotions
    if len(agree) >= _ENOUGH and agree.mean() < _AGREE:
        raise DataError(
            f"{path}: its votes agree with {100 * agree.mean():.0f} % of the labels in {len(agree)} faces instead of"
            " some 63 %; the rows of the two files do not correspond, get them as published"
        )


def _columns(layout: str) -> tuple[str, ...]:
    """Returns the columns that the csv file of a layout has to have."""
    return ("emotion", "pixels", "Usage") if layout == "csv" else ("emotion", "pixels")


def _remembered(paths: list[Path]) -> tuple[str, int]:
    """Returns the fingerprint of the contents of some csv files, and the number of rows of the first.

    A file of 300 MB is not read again at each start, see ``exp.data.fingerprint.noted``.
    """

    def read() -> dict[str, Any]:
        return {"fingerprint": fingerprint.of_files(paths), "rows": fer_csv.count_rows(paths[0])}

    try:
        known = fingerprint.noted("rows", [os.path.abspath(path) for path in paths], read)
    except OSError as error:
        raise unreadable(error.filename, error) from None
    return str(known["fingerprint"]), int(known["rows"])

"""CASIA-B (Yu, Tan, Tan, ICPR 2006) as OpenGait's pretreated pickles or as the publisher's PNG silhouettes.

Folders are ``<person>/<walk>/<angle>/``, such as 001/nm-01/000; in each lies ``<angle>.pkl``, a pickled uint8 array of
T aligned frames, or the frames as PNG files, which are aligned here. Each part is converted once to one memory-mapped
file. The data set itself is had from its publisher under its terms; nothing of it comes with this project.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exp.data import fingerprint
from exp.data.cache import cache_folder
from exp.data.clips import Clips, ClipWriter, key_of, stored
from exp.data.partition import SPLIT_SEED
from exp.data.silhouette import aligned, resized
from exp.data.source import ROOT_VARIABLE, DataError, unreadable
from exp.data.unpickle import read_pickled_array
from exp.data.walker_body import TYPES, VIEWS

WHERE = "http://www.cbsr.ia.ac.cn/english/Gait%20Databases.asp"
FEW_FRAMES = 5
_WALK = re.compile(r"[a-z]{2}-\d{2}")
_VIEW = re.compile(r"\d{3}")


@dataclass(frozen=True)
class Cell:
    """One walk from one angle on disk.

    Attributes:
        person: Such as 001.
        walk: Such as nm-01.
        view: Such as 090.
        pickle: The pretreated file, None where there are raw frames.
        frames: The raw frames in the order of their names.
    """

    person: str
    walk: str
    view: str
    pickle: Path | None
    frames: tuple[Path, ...]

    @property
    def name(self) -> str:
        """person/walk/view."""
        return f"{self.person}/{self.walk}/{self.view}"


class CasiaB:
    """CASIA-B, split by persons.

    Args:
        root: Folder in which the persons' folders lie; None for EXP_DATA, or a folder CASIA-B in it.
        size: Rows of a frame.
        cut: Columns left off on each side of a square frame.
        train_subjects: Persons up to this number are trained on, the others tested.
        val_subjects: Persons taken from the training to choose the epoch on; 0 for none.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        size: int = 64,
        cut: int = 0,
        train_subjects: int = 74,
        val_subjects: int = 10,
    ) -> None:
        if size < 16 or not 0 <= 2 * cut < size:
            raise ValueError(f"size={size}, cut={cut}: at least 16, and less than half of it cut on each side")
        if train_subjects < 2 or not 0 <= val_subjects < train_subjects - 1:
            raise ValueError(
                f"train_subjects={train_subjects}, val_subjects={val_subjects}: two persons have to be left to train on"
            )
        self.root, self.size, self.cut = root, size, cut
        self.train_subjects, self.val_subjects = train_subjects, val_subjects

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, size, size - 2 cut)."""
        return 1, self.size, self.size - 2 * self.cut

    @property
    def num_classes(self) -> int:
        """Persons to train on; those of the folder where there is one, else those of the whole set."""
        try:
            return len(self._people(self.cells())["train"])
        except DataError:
            return self.train_subjects - self.val_subjects

    @property
    def class_names(self) -> list[str]:
        """The persons to train on.

        Raises:
            DataError: The data are missing.
        """
        return self._people(self.cells())["train"]

    def cells(self) -> list[Cell]:
        """What lies on disk, in the order of the names.

        Raises:
            DataError: There is no such folder, or no walk in it.
        """
        root = self._find()
        found = []
        for person in _folders(root):
            for walk in _folders(person):
                if not _WALK.fullmatch(walk.name):
                    continue
                for view in _folders(walk):
                    if _VIEW.fullmatch(view.name):
                        found.append(_cell(person.name, walk.name, view))
        if not found:
            raise DataError(f"CASIA-B: no <person>/<walk>/<angle> folders such as 001/nm-01/000 in {root}")
        return found

    def check(self) -> str:
        """See ``exp.data.source.Source.check``; covers names and sizes of pickles, names and numbers of raw frames.

        Raises:
            DataError: Files are missing, a folder is empty, or a part has no person.
        """
        cells = self.cells()
        empty = [cell.name for cell in cells if cell.pickle is None and not cell.frames]
        if empty:
            raise DataError(
                f"CASIA-B: {self._find() / empty[0]} is empty"
                + (f", and {len(empty) - 1} more" if len(empty) > 1 else "")
                + "; python -m exp.data.check casia_b lists all"
            )
        people = self._people(cells)
        for split in ("train", "test"):
            if len(people[split]) < 2:
                raise DataError(
                    f"CASIA-B: {len(people[split])} persons for {split} in {self._find()}; persons up to"
                    f" data.train_subjects={self.train_subjects} are trained on, the others tested"
                )
        return self._fingerprint(cells)

    def load(self) -> dict[str, Clips]:
        """The parts train, val (where there is one) and test, converted now if no run on this machine has done so.

        Raises:
            DataError: A file is missing or damaged, or the cache cannot be written.
        """
        cells = self.cells()
        people, digest = self._people(cells), self._fingerprint(cells)
        trained = set(people["train"]) | set(people["val"])
        size = self.shape[1:]
        parts = {}
        for split, chosen in (("train", trained), ("test", set(people["test"]))):
            own = [cell for cell in cells if cell.person in chosen]
            folder = cache_folder() / "casia_b" / f"{split}-{key_of(digest, size, sorted(chosen))}"
            parts[split] = stored(folder, size, self._make(own))
        if people["val"]:
            held = np.isin(parts["train"].ids, people["val"])
            parts["val"] = parts["train"].subset(np.flatnonzero(held))
            parts["train"] = parts["train"].subset(np.flatnonzero(~held))
        return parts

    def report(self) -> dict[str, Any]:
        """Reads every file: counts, walks that are missing, files that are damaged, clips that are short."""
        cells = self.cells()
        damaged, short, lengths = [], [], []
        for cell in cells:
            try:
                lengths.append(len(self._read(cell)))
            except DataError as error:
                damaged.append(str(error))
                continue
            if lengths[-1] < FEW_FRAMES:
                short.append(f"{cell.name}: {lengths[-1]} frames")
        persons = sorted({cell.person for cell in cells})
        there = {cell.name for cell in cells}
        missing = [
            f"{person}/{walk}/{view}"
            for person in persons
            for walk in TYPES
            for view in VIEWS
            if f"{person}/{walk}/{view}" not in there
        ]
        return {
            "root": str(self._find()),
            "layout": "pickles" if cells[0].pickle else "frames",
            "persons": {split: len(names) for split, names in self._people(cells).items()},
            "clips": len(cells),
            "frames": sum(lengths),
            "missing": missing,
            "short": short,
            "damaged": damaged,
        }

    def _find(self) -> Path:
        given = self.root if self.root is not None else os.environ.get(ROOT_VARIABLE)
        if not given:
            raise DataError(
                f"CASIA-B: no data folder given; set data.root or {ROOT_VARIABLE} to the folder that holds the persons'"
                f" folders 001, 002, ... (from {WHERE}, or OpenGait's pretreatment of it)"
            )
        base = Path(given).expanduser()
        if not base.is_dir():
            raise DataError(f"CASIA-B: {base} is no folder; the set comes from {WHERE}")
        named = [base / name for name in ("CASIA-B", "casia-b", "CASIA-B-pkl", "casia_b")]
        return base if self.root is not None else next((path for path in named if path.is_dir()), base)

    def _people(self, cells: list[Cell]) -> dict[str, list[str]]:
        persons = sorted({cell.person for cell in cells})
        odd = [person for person in persons if not person.isdigit()]
        if odd:
            raise DataError(f"CASIA-B: the folder {odd[0]} in {self._find()} is no person's number such as 001")
        train = [person for person in persons if int(person) <= self.train_subjects]
        if len(train) < self.val_subjects + 2 and self.val_subjects:
            raise DataError(
                f"CASIA-B: {len(train)} persons to train on, of whom data.val_subjects={self.val_subjects} are to be"
                " held out; lower it"
            )
        held = np.random.RandomState(SPLIT_SEED).permutation(len(train))[: self.val_subjects]
        val = sorted(train[place] for place in held.tolist())
        return {
            "train": [person for person in train if person not in val],
            "val": val,
            "test": [person for person in persons if int(person) > self.train_subjects],
        }

    def _fingerprint(self, cells: list[Cell]) -> str:
        try:
            return fingerprint.of_names(
                (cell.name, cell.pickle.stat().st_size if cell.pickle else len(cell.frames)) for cell in cells
            )
        except OSError as error:
            raise unreadable(self._find(), error) from None

    def _make(self, cells: list[Cell]) -> Callable[[ClipWriter], None]:
        def make(writer: ClipWriter) -> None:
            for cell in cells:
                writer.add(cell.person, cell.walk, cell.view, self._read(cell))

        return make

    def _read(self, cell: Cell) -> np.ndarray:
        """uint8 (T, size, size - 2 cut), T at least 1.

        Raises:
            DataError: The file is damaged, or holds anything but square frames.
        """
        if cell.pickle is not None:
            frames = read_pickled_array(cell.pickle)
            where: Path = cell.pickle
            if frames.ndim != 3 or frames.shape[1] != frames.shape[2]:
                raise DataError(f"{where}: an array of shape {frames.shape}, expected T x 64 x 64 aligned frames")
            frames = resized(frames, self.size) if len(frames) else frames
        else:
            where = cell.frames[0].parent if cell.frames else self._find() / cell.name
            cut_out = [aligned(read_silhouette(path), self.size) for path in cell.frames]
            kept = [frame for frame in cut_out if frame is not None]
            frames = np.stack(kept) if kept else np.empty((0, self.size, self.size), np.uint8)
        if not len(frames):
            raise DataError(f"{where}: no frame with a person; remove the folder or get it again")
        return frames[:, :, self.cut : self.size - self.cut]


def _cell(person: str, walk: str, folder: Path) -> Cell:
    names = _names(folder)
    pickles = [name for name in names if name.endswith(".pkl")]
    if pickles:
        # Several modalities may lie side by side; the silhouettes carry the angle's name, else come first.
        chosen = f"{folder.name}.pkl" if f"{folder.name}.pkl" in pickles else pickles[0]
        return Cell(person, walk, folder.name, folder / chosen, ())
    return Cell(person, walk, folder.name, None, tuple(folder / name for name in names if name.endswith(".png")))


def read_silhouette(path: Path) -> np.ndarray:
    """A grey image, uint8 (H, W)."""
    import cv2

    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    whole = b"IEND\xaeB`\x82" in data
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if whole else None
    if image is None:
        raise DataError(f"{path}: not a readable PNG, or truncated; get the file again or remove it")
    return image


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable(folder, error) from None


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise unreadable(folder, error) from None


def write_pickles(clips: Clips, root: Path) -> None:
    """Writes clips in OpenGait's pretreated layout, ``<person>/<walk>/<angle>/<angle>.pkl``.

    Args:
        clips: What to write.
        root: Folder of the persons' folders; made where it is missing.
    """
    import pickle

    for number in range(len(clips)):
        person, walk, view = str(clips.ids[number]), str(clips.types[number]), str(clips.views[number])
        folder = root / person / walk / view
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{view}.pkl").write_bytes(pickle.dumps(clips.read(number), protocol=4))

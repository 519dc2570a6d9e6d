"""CASIA-B (Yu, Tan, Tan, ICPR 2006) as OpenGait's pretreated pickles or as the publisher's PNG silhouettes.

Folders are ``<person>/<walk>/<angle>/``, such as 001/nm-01/000; in each lies ``<angle>.pkl``, a pickled uint8 array of
T aligned frames, or the frames as image files, which are aligned here. Each part is converted once to one memory-mapped
file. The data set comes from its publisher under its terms; nothing of it comes with this project.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exp.cells.counted import counted
from exp.data import fingerprint
from exp.data.cache import cache_folder
from exp.data.decode import ENDINGS
from exp.data.partition import SPLIT_SEED
from exp.data.source import ROOT_VARIABLE, DataError, unreadable
from exp.data.text import natural
from exp.data.unpickle import read_pickled_array
from exp.tasks.gait.data.clips import Clips, ClipWriter, key_of, stored
from exp.tasks.gait.data.protocol import require_protocol
from exp.tasks.gait.data.silhouette import aligned, read_silhouette, resized, spread
from exp.tasks.gait.data.walker_body import TYPES, VIEWS
from exp.tasks.gait.options import CasiaBOptions

_log = logging.getLogger(__name__)
WHERE = "http://www.cbsr.ia.ac.cn/english/Gait%20Databases.asp"
FEW_FRAMES = 5
_WALK = re.compile(r"[a-z]{2}-\d{2}", re.ASCII)
_VIEW = re.compile(r"\d{1,3}", re.ASCII)


@dataclass(frozen=True)
class WalkFiles:
    """The files of one walk from one angle.

    Attributes:
        person: The person's number, such as 001.
        walk: Kind and number of the walk, such as nm-01.
        view: The angle, such as 090.
        folder: Where they lie.
        pickle: The pretreated file, None where there are raw frames.
        frames: The names of the raw frames in the order of their numbers; there may be a million in all.
    """

    person: str
    walk: str
    view: str
    folder: Path
    pickle: Path | None
    frames: tuple[str, ...]

    @property
    def name(self) -> str:
        """The walk's name: person/walk/view."""
        return f"{self.person}/{self.walk}/{self.view}"


class CasiaB:
    """CASIA-B, split by persons.

    Args:
        options: See ``CasiaBOptions``.
        given: Options by name, in place of ``options``.

    Attributes:
        left_out: Folders among the walks that are neither a walk's nor an angle's.

    Raises:
        ValueError: The cut leaves nothing of a frame, or fewer than two persons are left to train on.
    """

    def __init__(self, options: CasiaBOptions | None = None, **given: Any) -> None:
        self.options = options = CasiaBOptions.of(options, given)
        self.left_out: list[str] = []
        if 2 * options.cut >= options.size:
            raise ValueError(f"cut={options.cut}: leaves nothing of size={options.size} columns; lower it")
        if options.val_subjects >= options.train_subjects - 1:
            raise ValueError(
                f"val_subjects={options.val_subjects}: two of train_subjects={options.train_subjects} persons have to"
                " be left to train on"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a frame: (1, size, size - 2 cut)."""
        return 1, self.options.size, self.options.size - 2 * self.options.cut

    @property
    def num_classes(self) -> int:
        """Number of persons to train on; those of the folder where there is one, else those of the whole set."""
        try:
            return len(self._people(self.walks())["train"])
        except DataError:
            return self.options.train_subjects - self.options.val_subjects

    @property
    def class_names(self) -> list[str]:
        """The persons to train on, ascending.

        Raises:
            DataError: The data are missing.
        """
        return self._people(self.walks())["train"]

    def walks(self) -> list[WalkFiles]:
        """Returns the walks on disk in the order of their names.

        Raises:
            DataError: There is no such folder, no walk in it, or a walk twice from one angle.
        """
        root = self._find()
        found: dict[str, WalkFiles] = {}
        self.left_out = []
        for person in _folders(root):
            for walk in _folders(person):
                views = _folders(walk) if _WALK.fullmatch(walk.name) else []
                kept = [view for view in views if _VIEW.fullmatch(view.name)]
                odd = [view for view in views if view not in kept] if views else [walk]
                self.left_out += [path.relative_to(root).as_posix() for path in odd]
                for view in kept:
                    files = _files(person.name, walk.name, view)
                    other = found.setdefault(files.name, files)
                    if other is not files:
                        raise DataError(f"CASIA-B: {other.folder} and {view} are the same angle; remove one")
        if not found:
            raise DataError(f"CASIA-B: no <person>/<walk>/<angle> folders such as 001/nm-01/000 in {root}")
        return list(found.values())

    def check(self) -> str:
        """Returns a fingerprint of the names and contents of the pickles or raw frames.

        Raises:
            DataError: Files are missing, a folder is empty, or a part has no person or cannot be scored.
        """
        walks = self.walks()
        empty = [files.folder for files in walks if files.pickle is None and not files.frames]
        if empty:
            raise DataError(
                f"CASIA-B: {empty[0]} is empty"
                + (f", and {len(empty) - 1} more" if len(empty) > 1 else "")
                + "; exp data casia_b lists all"
            )
        people = self._people(walks)
        for split in ("train", "test"):
            if len(people[split]) < 2:
                raise DataError(
                    f"CASIA-B: {len(people[split])} persons for {split} in {self._find()}; persons up to"
                    f" data.train_subjects={self.options.train_subjects} are trained on, the others tested"
                )
        for split in ("val", "test"):
            own = [files for files in walks if files.person in people[split]]
            if own:
                require_protocol(split, [files.walk for files in own], [files.view for files in own])
        return self._fingerprint(walks)

    def load(self) -> dict[str, Clips]:
        """Returns train, val (where there is one) and test, converted now if no run on this machine has done so.

        Raises:
            DataError: A file is missing or damaged, or the cache cannot be written.
        """
        walks = self.walks()
        if self.left_out:
            some = f"{', '.join(self.left_out[:3])}{' ...' if len(self.left_out) > 3 else ''}"
            _log.warning("CASIA-B: left out %d folders that are no walk or angle: %s", len(self.left_out), some)
        people, digest = self._people(walks), self._fingerprint(walks)
        trained = set(people["train"]) | set(people["val"])
        size = self.shape[1:]
        parts = {}
        for split, chosen in (("train", trained), ("test", set(people["test"]))):
            own = [files for files in walks if files.person in chosen]
            folder = cache_folder() / "casia_b" / f"{split}-{key_of(digest, size, sorted(chosen))}"
            parts[split] = stored(folder, size, self._make(own))
        if people["val"]:
            held = np.isin(parts["train"].ids, people["val"])
            parts["val"] = parts["train"].subset(np.flatnonzero(held))
            parts["train"] = parts["train"].subset(np.flatnonzero(~held))
        return parts

    def report(self) -> dict[str, Any]:
        """Reads every file and returns counts, missing walks, short clips and damaged files.

        Raises:
            DataError: There is no walk at all.
        """
        walks = self.walks()
        damaged, short, lengths = [], [], []
        for files in counted(walks, "reading CASIA-B's walks", len(walks)):
            try:
                lengths.append(len(self._read(files)))
            except DataError as error:
                damaged.append(str(error))
                continue
            if lengths[-1] < FEW_FRAMES:
                short.append(f"{files.name}: {lengths[-1]} frames")
        persons = sorted({files.person for files in walks})
        there = {files.name for files in walks}
        missing = [
            f"{person}/{walk}/{view}"
            for person in persons
            for walk in TYPES
            for view in VIEWS
            if f"{person}/{walk}/{view}" not in there
        ]
        return {
            "root": str(self._find()),
            "layout": "pickles" if walks[0].pickle else "frames",
            "persons": {split: len(names) for split, names in self._people(walks).items()},
            "clips": len(walks),
            "frames": sum(lengths),
            "left out": self.left_out,
            "missing": missing,
            "short": short,
            "damaged": damaged,
        }

    def _find(self) -> Path:
        given = self.options.root if self.options.root is not None else os.environ.get(ROOT_VARIABLE)
        if not given:
            raise DataError(
                f"CASIA-B: no data folder given; set data.root or {ROOT_VARIABLE} to the folder that holds the persons'"
                f" folders 001, 002, ... (from {WHERE}, or OpenGait's pretreatment of it)"
            )
        base = Path(given).expanduser()
        if not base.is_dir():
            raise DataError(f"CASIA-B: {base} is no folder; the set comes from {WHERE}")
        named = [base / name for name in ("CASIA-B", "casia-b", "CASIA-B-pkl", "casia_b")]
        return base if self.options.root is not None else next((path for path in named if path.is_dir()), base)

    def _people(self, walks: list[WalkFiles]) -> dict[str, list[str]]:
        persons = sorted({files.person for files in walks})
        odd = [person for person in persons if not person.isdigit()]
        if odd:
            raise DataError(f"CASIA-B: the folder {odd[0]} in {self._find()} is no person's number such as 001")
        train = [person for person in persons if int(person) <= self.options.train_subjects]
        held_out = self.options.val_subjects
        if held_out and len(train) < held_out + 2:
            raise DataError(
                f"CASIA-B: {len(train)} persons to train on, of whom data.val_subjects={held_out} are to be"
                " held out; lower it"
            )
        held = np.random.RandomState(SPLIT_SEED).permutation(len(train))[:held_out]
        val = sorted(train[place] for place in held.tolist())
        return {
            "train": [person for person in train if person not in val],
            "val": val,
            "test": [person for person in persons if int(person) > self.options.train_subjects],
        }

    def _fingerprint(self, walks: list[WalkFiles]) -> str:
        root = self._find()
        names = []
        for files in walks:
            place = files.folder.relative_to(root).as_posix()
            names += [f"{place}/{name}" for name in ((files.pickle.name,) if files.pickle else files.frames)]
        return fingerprint.of_tree(root, names)

    def _make(self, walks: list[WalkFiles]) -> Callable[[ClipWriter], None]:
        def make(writer: ClipWriter) -> None:
            for files in counted(walks, "converting CASIA-B's walks", len(walks)):
                writer.add(files.person, files.walk, files.view, self._read(files))

        return make

    def _read(self, files: WalkFiles) -> np.ndarray:
        """Returns the frames of a walk, uint8 (T, size, size - 2 cut) with T at least 1.

        Raises:
            DataError: The file is damaged, or holds anything but square frames.
        """
        size, cut = self.options.size, self.options.cut
        if files.pickle is not None:
            frames = read_pickled_array(files.pickle)
            where: Path = files.pickle
            if frames.ndim != 3 or frames.shape[1] != frames.shape[2]:
                raise DataError(f"{where}: an array of shape {frames.shape}, expected T x 64 x 64 aligned frames")
            frames = resized(spread(frames), size) if len(frames) else frames
        else:
            where = files.folder
            cut_out = [aligned(read_silhouette(files.folder / name), size) for name in files.frames]
            kept = [frame for frame in cut_out if frame is not None]
            frames = np.stack(kept) if kept else np.empty((0, size, size), np.uint8)
        if not len(frames):
            raise DataError(f"{where}: no frame with a person; remove the folder or get it again")
        return frames[:, :, cut : size - cut]


def _files(person: str, walk: str, folder: Path) -> WalkFiles:
    view = folder.name.zfill(3)
    names = [name for name in _names(folder) if not name.startswith(".")]
    pickles = [name for name in names if name.endswith(".pkl")]
    if pickles:
        # Several modalities may lie side by side; the silhouettes carry the angle's name, else come first.
        chosen = f"{folder.name}.pkl" if f"{folder.name}.pkl" in pickles else pickles[0]
        return WalkFiles(person, walk, view, folder, folder / chosen, ())
    frames = sorted((name for name in names if name.lower().endswith(ENDINGS)), key=natural)
    return WalkFiles(person, walk, view, folder, None, tuple(frames))


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

"""CULane in its publisher's layout: list/*.txt, driver_*/*.MP4/*.jpg with a .lines.txt beside each image.

Source: Pan et al., "Spatial as deep: spatial CNN for traffic scene understanding", AAAI 2018.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.decode import ENDINGS
from exp.data.fingerprint import of_tree
from exp.data.source import DataError, find_root
from exp.data.text import read_lines_of, relative_name
from exp.tasks.lane.data.lines import ENDING, read_lines
from exp.tasks.lane.data.source import Frame, LaneSource
from exp.tasks.lane.options import CULaneOptions

_IMAGE = re.compile(
    rf"\s*(.+?(?:{'|'.join(map(re.escape, (*ENDINGS, ENDING)))}))(?=\s|$)",
    re.IGNORECASE,
)
_WHERE = "https://xingangpan.github.io/projects/CULane.html"


class CULane(LaneSource):
    """The parts of list/train.txt, val.txt and test.txt, or a hold-out of the training list.

    Args:
        options: See ``CULaneOptions``.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: The crop leaves nothing of the image.
    """

    options: CULaneOptions

    def __init__(self, options: CULaneOptions | None = None, **given: Any) -> None:
        super().__init__(CULaneOptions.of(options, given))
        self._listed: dict[str, list[str]] | None = None
        self._root: Path | None = None

    def check(self) -> str:
        """Returns a fingerprint of the contents of the lists and of all listed images and labels.

        Raises:
            DataError: A listed file is missing or cannot be read, or a part has no lane at all.
        """
        root = self._folder()
        names = sorted({name for listed in self._lists().values() for name in listed})
        files = [*self._list_files(), *(file for name in names for file in (name, label_name(name)))]
        parts = "-".join(f"{part}{len(listed)}" for part, listed in self._lists().items())
        return of_tree(
            root,
            files,
            missing="is listed but not there; unpack the whole set, or mend the list",
            look=(parts, lambda: self.refuse_empty(self._frames())),
        )

    def _folder(self) -> Path:
        if self._root is None:
            self._root = find_root(self.options.root, ["culane/list"], "culane", _WHERE)
        return self._root

    def _list_files(self) -> list[str]:
        """Returns the lists that are read, relative to the root."""
        published = self.options.parts == "published" and not self.options.overfit
        names = ["list/train.txt", *(("list/val.txt", "list/test.txt") if published else ())]
        return names + [path.relative_to(self._folder()).as_posix() for path in self._category_lists()]

    def _category_lists(self) -> list[Path]:
        """Returns the lists of the test part's categories; none where no other list than train.txt is read."""
        if self.options.overfit or self.options.parts != "published":
            return []
        return sorted((self._folder() / "list" / "test_split").glob("*.txt"))

    def _lists(self) -> dict[str, list[str]]:
        """Returns the image names, relative to the root, by part."""
        if self._listed is None:
            folder = self._folder() / "list"
            train = read_list(folder / "train.txt")
            if self.options.overfit:
                self._listed = {"train": train}
            elif self.options.parts == "published":
                self._listed = {"train": train} | {p: read_list(folder / f"{p}.txt") for p in ("val", "test")}
            else:
                held = len(train) // 10
                if not held:
                    raise DataError(f"culane: {folder / 'train.txt'} has {len(train)} images; parts=holdout needs 10")
                self._listed = {
                    "train": train[: -2 * held],
                    "val": train[-2 * held : -held],
                    "test": train[-held:],
                }
        return self._listed

    def _frames(self) -> dict[str, list[Frame]]:
        root = self._folder()
        kinds = self._categories()
        return {
            part: [Frame(name, read_lines(root / label_name(name)), kinds.get(name, "")) for name in names]
            for part, names in self._lists().items()
        }

    def _categories(self) -> dict[str, str]:
        """Returns the category of each test image; nothing where the set's test_split lists are missing.

        Raises:
            DataError: There are lists, but they name none of the test images.
        """
        paths = self._category_lists()
        kinds = {name: category(path) for path in paths for name in read_list(path)}
        if kinds and not kinds.keys() & set(self._lists()["test"]):
            raise DataError(
                f"culane: the lists in {paths[0].parent} name none of the images in test.txt, such as"
                f" {self._lists()['test'][0]}; mend the names, or remove the lists"
            )
        return kinds

    def _decode(self, frame: Frame) -> np.ndarray:
        return self._read_image(self._folder() / frame.name)


def read_list(path: Path) -> list[str]:
    """Returns the images that a list names, one a line; further columns (masks, existence flags) are passed over.

    An image's name ends with its ending, so that folders may have blanks.

    Raises:
        DataError: The list cannot be read, is empty, names an image twice or one outside the set's folder.
    """
    names = []
    for number, line in enumerate(read_lines_of(path, "a list holds one image a line"), 1):
        if line.strip():
            match = _IMAGE.match(line)
            names.append(relative_name(match[1] if match else line.split()[0], f"{path}, line {number}"))
    if not names:
        raise DataError(f"{path}: an empty list; each line has to name an image")
    listed: set[str] = set()
    for name in names:
        label = label_name(name)
        if label in listed:
            raise DataError(f"{path}: {name} is listed twice; take one out")
        listed.add(label)
    return names


def label_name(image: str) -> str:
    """Returns an image's label file: ``driver_x/y.MP4/00000.lines.txt`` for ``driver_x/y.MP4/00000.jpg``."""
    return image if image.endswith(ENDING) else image[: len(image) - len(Path(image).suffix)] + ENDING


def category(path: Path) -> str:
    """Returns the category that a test list is named after: ``normal`` for ``test0_normal.txt``; other names as is."""
    head, _, tail = path.stem.partition("_")
    return tail if tail and head.startswith("test") and head[4:].isdigit() else path.stem

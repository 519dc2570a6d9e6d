"""CULane as its publisher lays it out: list/*.txt, driver_*/*.MP4/*.jpg with a .lines.txt beside each image.

Source: Pan et al., "Spatial as deep: spatial CNN for traffic scene understanding", AAAI 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exp.data.decode import read_colour
from exp.data.fingerprint import of_names
from exp.data.lane_source import Frame, LaneSource
from exp.data.lines import ENDING, read_lines
from exp.data.source import DataError, find_root, unreadable
from exp.data.view import View

_WHERE = "https://xingangpan.github.io/projects/CULane.html"


class CULane(LaneSource):
    """The publisher's lists, or a hold-out of the training list for a set of which only a clip is there.

    Args:
        root: Folder of the set; None for EXP_DATA.
        parts: ``published`` takes list/train.txt, val.txt and test.txt; ``holdout`` makes all three from train.txt,
            in its order: a tenth of it, the last but one, for validation, the last for the test.
        image_height: Rows of the images.
        image_width: Columns of the images.
        input_height: Rows of the network's input.
        input_width: Columns of the network's input.
        crop_top: Rows cut off at the top.
        fit: See `View`.
        overfit: See `LaneSource`.

    Raises:
        ValueError: A number is out of range.
    """

    name = "culane"

    def __init__(
        self,
        *,
        root: str | None = None,
        parts: str = "published",
        image_height: int = 590,
        image_width: int = 1640,
        input_height: int = 320,
        input_width: int = 800,
        crop_top: int = 270,
        fit: str = "stretch",
        overfit: int = 0,
    ) -> None:
        super().__init__(View(image_height, image_width, crop_top, input_height, input_width, fit), overfit)
        self.root = root
        self.parts = parts
        self._listed: dict[str, list[str]] | None = None
        self._found: Path | None = None

    def check(self) -> str:
        """Covers names and sizes of all listed images and labels."""
        root = self._folder()
        files = sorted({name for names in self._lists().values() for name in names})
        entries = []
        for name in files:
            for path in (root / name, _label(root, name)):
                try:
                    entries.append((path.relative_to(root).as_posix(), path.stat().st_size))
                except FileNotFoundError:
                    message = f"culane: {path} is listed but not there; unpack the whole set, or mend the list"
                    raise DataError(message) from None
                except OSError as error:
                    raise unreadable(path, error) from None
        return of_names(entries)

    def _folder(self) -> Path:
        if self._found is None:
            self._found = find_root(self.root, ["culane/list"], "culane", _WHERE)
        return self._found

    def _lists(self) -> dict[str, list[str]]:
        """Image names, relative to the root, by part."""
        if self._listed is None:
            folder = self._folder() / "list"
            train = _read_list(folder / "train.txt")
            if self.overfit:
                self._listed = {"train": train}
            elif self.parts == "published":
                self._listed = {"train": train} | {p: _read_list(folder / f"{p}.txt") for p in ("val", "test")}
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
        kinds = self._categories() if self.parts == "published" and not self.overfit else {}
        return {
            part: [Frame(name, read_lines(_label(root, name)), kinds.get(name, "")) for name in names]
            for part, names in self._lists().items()
        }

    def _categories(self) -> dict[str, str]:
        """Category of the test images; empty where the set's test_split lists are not there."""
        folder = self._folder() / "list" / "test_split"
        return {
            name: path.stem.partition("_")[2] or path.stem
            for path in sorted(folder.glob("*.txt"))
            for name in _read_list(path)
        }

    def _decode(self, frame: Frame) -> np.ndarray:
        path = self._folder() / frame.name
        pixels = read_colour(path)
        wanted = (self.view.image_height, self.view.image_width)
        if pixels.shape[:2] != wanted:
            raise DataError(
                f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels, expected {wanted[1]}x{wanted[0]}; set"
                " data.image_width and data.image_height (and data.crop_top with them)"
            )
        return self.view.image(pixels)


def _label(root: Path, name: str) -> Path:
    return root / (name[: len(name) - len(Path(name).suffix)] + ENDING)


def _read_list(path: Path) -> list[str]:
    try:
        names = [line.split()[0].lstrip("/") for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file; a list holds one image a line") from None
    if not names:
        raise DataError(f"{path}: an empty list; each line has to name an image")
    _refuse_twice(path, names)
    return names


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{path}: {name} stands there twice; take one out")
        seen.add(name)

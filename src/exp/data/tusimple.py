"""TuSimple as its publisher lays it out: label_data_*.json, one frame a line, and clips/**/20.jpg.

Source: TuSimple/tusimple-benchmark, the lane detection challenge of 2017.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from exp.data.decode import read_colour
from exp.data.fingerprint import of_files
from exp.data.lane_source import Frame, LaneSource
from exp.data.source import DataError, find_root, unreadable
from exp.data.view import View

_WHERE = "https://github.com/TuSimple/tusimple-benchmark"
_TRAIN = ("label_data_0313.json", "label_data_0601.json")
_VAL = ("label_data_0531.json",)
_TEST = ("test_label.json", "test_tasks_0627.json")


class TuSimple(LaneSource):
    """Labels 0313 and 0601 for training, 0531 for validation, the test labels for the test.

    Args:
        root: Folder of the set; None for EXP_DATA.
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

    name = "tusimple"

    def __init__(
        self,
        *,
        root: str | None = None,
        image_height: int = 720,
        image_width: int = 1280,
        input_height: int = 320,
        input_width: int = 800,
        crop_top: int = 160,
        fit: str = "stretch",
        overfit: int = 0,
    ) -> None:
        super().__init__(View(image_height, image_width, crop_top, input_height, input_width, fit), overfit)
        self.root = root
        self._found: Path | None = None
        self._read: dict[str, list[Frame]] | None = None

    def check(self) -> str:
        """Covers the label files; every labelled image has to be there."""
        root = self._folder()
        for frames in self._frames().values():
            for frame in frames:
                if not (root / frame.name).exists():
                    raise DataError(f"tusimple: {root / frame.name} is labelled but not there; unpack the clips")
        return of_files([root / name for names in self._files().values() for name in names])

    def _folder(self) -> Path:
        if self._found is None:
            self._found = find_root(self.root, [f"tusimple/{name}" for name in (*_TRAIN, *_VAL)], "tusimple", _WHERE)
        return self._found

    def _files(self) -> dict[str, list[str]]:
        if self.overfit:
            return {"train": list(_TRAIN)}
        test = [name for name in _TEST if (self._folder() / name).exists()]
        if not test:
            raise DataError(f"tusimple: {self._folder()} lacks {' and '.join(_TEST)}; the set comes from {_WHERE}")
        return {"train": list(_TRAIN), "val": list(_VAL), "test": test[:1]}

    def _frames(self) -> dict[str, list[Frame]]:
        if self._read is None:
            root = self._folder()
            self._read = {
                part: [frame for name in names for frame in read_labels(root / name)]
                for part, names in self._files().items()
            }
        return self._read

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


def read_labels(path: Path) -> list[Frame]:
    """Frames of a label file, lanes as points from the bottom up.

    Raises:
        DataError: The file cannot be read, or a line is not a labelled frame.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise unreadable(path, error) from None
    frames = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            rows = np.asarray(entry["h_samples"], dtype=np.float32)
            lanes = [np.asarray(lane, dtype=np.float32) for lane in entry["lanes"]]
            name = str(entry["raw_file"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a labelled frame ({error!r}); get the file again") from None
        odd = next((len(lane) for lane in lanes if lane.shape != rows.shape), None)
        if odd is not None:
            raise DataError(f"{path}, line {number}: a lane has {odd} values for {len(rows)} rows; get the file again")
        points = [np.stack([lane, rows], 1)[lane >= 0][::-1] for lane in lanes]
        frames.append(Frame(name, [lane for lane in points if len(lane)]))
    return frames

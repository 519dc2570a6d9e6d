"""TuSimple in its publisher's layout: label_data_*.json, one frame a line, and clips/**/20.jpg.

Source: TuSimple/tusimple-benchmark, the lane detection challenge of 2017.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.fingerprint import of_files
from exp.data.source import DataError, find_root, unreadable
from exp.tasks.lane.data.source import Frame, LaneSource
from exp.tasks.lane.options import TuSimpleOptions

_WHERE = "https://github.com/TuSimple/tusimple-benchmark"
_TRAIN = ("label_data_0313.json", "label_data_0601.json")
_VAL = ("label_data_0531.json",)
_TEST = ("test_label.json", "test_tasks_0627.json")


class TuSimple(LaneSource):
    """Labels 0313 and 0601 for training, 0531 for validation, the test labels for the test.

    Args:
        options: See ``TuSimpleOptions``.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: The crop leaves nothing of the image.
    """

    options: TuSimpleOptions

    def __init__(self, options: TuSimpleOptions | None = None, **given: Any) -> None:
        super().__init__(TuSimpleOptions.of(options, given))
        self._root: Path | None = None
        self._by_part: dict[str, list[Frame]] | None = None

    def check(self) -> str:
        """Returns a fingerprint of the label files.

        Raises:
            DataError: A label file or a labelled image is missing.
        """
        root = self._folder()
        for frames in self._frames().values():
            for frame in frames:
                if not (root / frame.name).exists():
                    raise DataError(f"tusimple: {root / frame.name} is labelled but not there; unpack the clips")
        return of_files([root / name for names in self._files().values() for name in names])

    def _folder(self) -> Path:
        if self._root is None:
            wanted = [f"tusimple/{name}" for name in (*_TRAIN, *_VAL)]
            self._root = find_root(self.options.root, wanted, "tusimple", _WHERE)
        return self._root

    def _files(self) -> dict[str, list[str]]:
        if self.options.overfit:
            return {"train": list(_TRAIN)}
        test = [name for name in _TEST if (self._folder() / name).exists()]
        if not test:
            raise DataError(f"tusimple: {self._folder()} lacks {' and '.join(_TEST)}; the set comes from {_WHERE}")
        return {"train": list(_TRAIN), "val": list(_VAL), "test": test[:1]}

    def _frames(self) -> dict[str, list[Frame]]:
        if self._by_part is None:
            root = self._folder()
            self._by_part = {
                part: [frame for name in names for frame in read_labels(root / name)]
                for part, names in self._files().items()
            }
        return self._by_part

    def _decode(self, frame: Frame) -> np.ndarray:
        return self._read_image(self._folder() / frame.name)


def read_labels(path: Path) -> list[Frame]:
    """Returns the frames of a label file, their lanes as points from the bottom up.

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

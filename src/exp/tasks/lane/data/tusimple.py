"""TuSimple in its publisher's layout: label_data_*.json, one frame a line, and clips/**/20.jpg.

Source: TuSimple/tusimple-benchmark, the lane detection challenge of 2017.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.fingerprint import of_tree
from exp.data.source import DataError, find_root
from exp.data.text import read_lines_of, relative_name
from exp.tasks.lane.data.source import Frame, LaneSource
from exp.tasks.lane.metrics.tusimple import odd_frame
from exp.tasks.lane.options import TuSimpleOptions

_WHERE = "https://github.com/TuSimple/tusimple-benchmark"
_EXPECTED = "one frame a line is expected, a JSON object with raw_file and lanes"
_TRAIN = ("label_data_0313.json", "label_data_0601.json")
_VAL = ("label_data_0531.json",)
_TEST = "test_label.json"


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
        """Returns a fingerprint of the contents of the label files and the labelled images.

        Raises:
            DataError: A label file or a labelled image is missing, or a part has no lane at all.
        """
        self.refuse_empty(self._frames())
        labels = [name for names in self._files().values() for name in names]
        images = sorted({frame.name for frames in self._frames().values() for frame in frames})
        return of_tree(self._folder(), [*labels, *images], missing="is labelled but not there; unpack the clips")

    def _folder(self) -> Path:
        if self._root is None:
            wanted = [f"tusimple/{name}" for name in (*_TRAIN, *_VAL)]
            self._root = find_root(self.options.root, wanted, "tusimple", _WHERE)
        return self._root

    def _files(self) -> dict[str, list[str]]:
        if self.options.overfit:
            return {"train": list(_TRAIN)}
        if not (self._folder() / _TEST).exists():
            raise DataError(
                f"tusimple: {self._folder()} lacks {_TEST}, the labels of the test part (test_tasks_0627.json only"
                f" lists its frames); the set comes from {_WHERE}"
            )
        return {"train": list(_TRAIN), "val": list(_VAL), "test": [_TEST]}

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
        DataError: The file cannot be read, a line is not a labelled frame, or a frame is labelled twice.
    """
    frames: dict[str, Frame] = {}
    for number, entry in read_frames(path, ("raw_file", "lanes", "h_samples")):
        where = f"{path}, line {number}"
        name = entry["raw_file"]
        if name in frames:
            raise DataError(f"{where}: {name} is labelled twice; take one out")
        rows = np.asarray(entry["h_samples"], dtype=np.float32)
        lanes = [np.asarray(lane, dtype=np.float32) for lane in entry["lanes"]]
        odd = next((len(lane) for lane in lanes if lane.shape != rows.shape), None)
        if odd is not None:
            raise DataError(f"{where}: a lane has {odd} values for {len(rows)} rows; get the file again")
        points = [np.stack([lane, rows], 1)[lane >= 0][::-1] for lane in lanes]
        frames[name] = Frame(name, [lane for lane in points if len(lane)])
    if not frames:
        raise DataError(f"{path}: no frames there; {_EXPECTED}")
    return list(frames.values())


def read_frames(path: Path, wanted: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
    """Returns the frames of a file in TuSimple's form, each with its line's number.

    Args:
        path: The file, one JSON object a line.
        wanted: What each frame has to have, among raw_file, lanes, h_samples and run_time.

    Raises:
        DataError: The file cannot be read, a line is no such frame, or names an image outside the set's folder.
    """
    frames = []
    for number, line in enumerate(read_lines_of(path, _EXPECTED), 1):
        if not line.strip():
            continue
        try:
            frame = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(f"{path}, line {number}: damaged JSON; {_EXPECTED}") from None
        complaint = odd_frame(frame, wanted)
        if complaint:
            raise DataError(f"{path}, line {number}: {complaint}; {_EXPECTED}")
        frames.append((number, frame | {"raw_file": relative_name(frame["raw_file"], f"{path}, line {number}")}))
    return frames

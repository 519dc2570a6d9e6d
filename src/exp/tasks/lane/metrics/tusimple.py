"""TuSimple's accuracy, FP and FN by the official rules. Torch-free.

A predicted point is right within 20 pixels, divided by the cosine of the label's slope. The best prediction's share of
right rows is a label's accuracy; with 85 % or more the label is matched. With more than four labels a miss is forgiven.
All three numbers are means over frames, as the official script computes them (its README describes them otherwise).

Source: TuSimple/tusimple-benchmark, evaluate/lane.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exp.data.source import DataError

PIXELS = 20.0
"""Largest distance of a right point from a vertical label."""
MATCH = 0.85
"""Smallest share of right rows with which a label is matched."""
ABSENT = -2
"""x of a row in which a lane has no point."""
SLOWEST_MS = 200
"""Longest run_time of a frame that counts."""
FARTHEST = 1e9
"""Largest size of a number that is no sign of a damaged file."""
_COUNTED = 4  # labels of a frame that count in full


@dataclass(frozen=True)
class Score:
    """Means over frames.

    Attributes:
        accuracy: Share of right rows, 0..1.
        fp: Share of predictions that match no label, 0..1.
        fn: Share of labels that no prediction matches, 0..1.
    """

    accuracy: float
    fp: float
    fn: float

    @property
    def f1(self) -> float:
        """F1 of precision 1 - fp and recall 1 - fn, as papers report it, 0..1."""
        precision, recall = 1 - self.fp, 1 - self.fn
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def frame(predicted: Sequence[Sequence[float]], labels: Sequence[Sequence[float]], rows: Sequence[float]) -> Score:
    """Returns a frame's score.

    Args:
        predicted: x of each predicted lane at each row, negative where it has none.
        labels: x of each true lane in the same form.
        rows: y of the rows.

    Raises:
        ValueError: A lane has another number of values than there are rows.
    """
    wrong = next((len(lane) for lane in (*predicted, *labels) if len(lane) != len(rows)), None)
    if wrong is not None:
        raise ValueError(f"a lane has {wrong} values for {len(rows)} rows")
    if len(predicted) > len(labels) + 2:
        return Score(0.0, 0.0, 1.0)
    y = np.asarray(rows, dtype=float)
    lanes = np.asarray(predicted, dtype=float).reshape(len(predicted), len(rows))
    lanes = np.where(lanes >= 0, lanes, -100.0)
    accuracies: list[float] = []
    misses, hits = 0, 0
    for label in labels:
        x = np.asarray(label, dtype=float)
        limit = PIXELS / math.cos(math.atan(_slope(x[x >= 0], y[x >= 0])))
        right = np.abs(lanes - np.where(x >= 0, x, -100.0)) < limit
        best = float(right.mean(1).max()) if len(lanes) else 0.0
        misses += best < MATCH
        hits += best >= MATCH
        accuracies.append(best)
    if len(labels) > _COUNTED and misses > 0:
        misses -= 1
    total = sum(accuracies) - (min(accuracies) if len(labels) > _COUNTED else 0.0)
    denominator = max(min(_COUNTED, len(labels)), 1)
    fp = (len(predicted) - hits) / len(predicted) if len(predicted) else 0.0
    return Score(total / denominator, fp, misses / denominator)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Returns dx/dy by least squares; 0 for fewer than two points."""
    if len(x) < 2:
        return 0.0
    y = y - y.mean()
    return float((y * (x - x.mean())).sum() / (y * y).sum())


def evaluate(predictions: Sequence[dict[str, Any]], labels: Sequence[dict[str, Any]], *, timed: bool = True) -> Score:
    """Returns the score of a list of frames in TuSimple's JSON form.

    Args:
        predictions: Predicted frames, each with ``raw_file``, ``lanes`` and ``run_time``.
        labels: Labelled frames, each with ``raw_file``, ``lanes`` and ``h_samples``.
        timed: Whether a frame with a run_time above 200 ms gets the worst score, as it does officially.

    Raises:
        DataError: Frames are missing, unknown, listed twice, of another form or length, or no label has a lane.
    """
    by_name = _by_name(labels, "labels", ("raw_file", "lanes", "h_samples"))
    given = _by_name(predictions, "predictions", ("raw_file", "lanes", *(("run_time",) if timed else ())))
    if not any(x >= 0 for entry in by_name.values() for lane in entry["lanes"] for x in lane):
        raise DataError(
            f"labels: none of the {len(by_name)} frames has a lane to score against (test_tasks_0627.json has none;"
            " take test_label.json)"
        )
    unknown = [name for name in given if name not in by_name]
    if unknown:
        raise DataError(f"predictions: {unknown[0]} is none of the {len(by_name)} labelled frames")
    missing = [name for name in by_name if name not in given]
    if missing:
        raise DataError(f"predictions: {len(missing)} of {len(by_name)} frames are missing, the first is {missing[0]}")
    scores = []
    for name, prediction in given.items():
        label = by_name[name]
        if timed and prediction["run_time"] > SLOWEST_MS:
            scores.append(Score(0.0, 0.0, 1.0))
            continue
        try:
            scores.append(frame(prediction["lanes"], label["lanes"], label["h_samples"]))
        except ValueError as error:
            raise DataError(f"{name}: {error}") from None
    mean = np.array([(s.accuracy, s.fp, s.fn) for s in scores]).mean(0)
    return Score(*(float(value) for value in mean))


def _by_name(frames: Sequence[dict[str, Any]], what: str, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not frames:
        raise DataError(f"{what}: no frames there")
    by_name: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(frames, 1):
        complaint = odd_frame(entry, wanted)
        if complaint:
            raise DataError(f"{what}, frame {number}: {complaint}")
        if entry["raw_file"] in by_name:
            raise DataError(f"{what}: {entry['raw_file']} is listed twice")
        by_name[entry["raw_file"]] = entry
    return by_name


def odd_frame(frame: Any, wanted: Sequence[str]) -> str:
    """Returns why something is no frame in TuSimple's form, empty where it is one.

    Args:
        frame: What JSON held.
        wanted: What a frame has to have, among raw_file, lanes, h_samples and run_time.
    """
    if not isinstance(frame, dict):
        return "not a JSON object"
    lacking = [key for key in wanted if key not in frame]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    if not isinstance(frame["raw_file"], str):
        return f"raw_file is {_short(frame['raw_file'])}, not a name"
    lanes = frame["lanes"]
    if not isinstance(lanes, list) or not all(map(_numbers, lanes)):
        return f"lanes are {_short(lanes)}, not lists of numbers"
    if "h_samples" in wanted and not _numbers(frame["h_samples"]):
        return f"h_samples are {_short(frame['h_samples'])}, not a list of numbers"
    if "run_time" in wanted and not _number(frame["run_time"]):
        return f"run_time is {_short(frame['run_time'])}, not a number of milliseconds"
    return ""


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < FARTHEST


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(map(_number, values))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

"""CULane's F1, exactly as the official evaluator counts it; ``python -m exp.metrics.culane --help``. Torch-free.

A predicted lane is right if the assignment that maximises the sum of IoUs gives it a label with an IoU strictly above
the threshold. The assignment does not depend on the threshold, so one pass serves all of them. The Python scores that
came with LaneATT and its followers (5 sub-steps, truncated points, another spline) differ from it by a few lanes in a
thousand; this one does not.

Source: XingangPan/SCNN, tools/lane_evaluation; mF1 as in CLRNet (mean F1 at IoU 0.50, 0.55 ... 0.95).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.lines import ENDING, read_lines
from exp.data.source import DataError, unreadable
from exp.metrics.lane_area import Area, area, distinct, iou_matrix

HEIGHT, WIDTH = 590, 1640
"""Size of CULane's images."""
MF1 = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Thresholds of mF1."""
CROSS = "cross"
PUBLISHED_IMAGES = {
    "normal": 9621,
    "crowd": 8113,
    "hlight": 486,
    "shadow": 930,
    "noline": 4067,
    "arrow": 890,
    "curve": 422,
    CROSS: 3122,
    "night": 7029,
}
"""Images of each test list."""
PUBLISHED_LANES = 104_886
"""Lanes in the labels of all 34,680 test images; other counts come from an outdated label archive."""
_CHUNK = 64


@dataclass(frozen=True)
class Count:
    """Hits and misses at one threshold.

    Attributes:
        tp: Predicted lanes with a label.
        fp: Predicted lanes without one.
        fn: Labels without a predicted lane.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted lanes that are right, in percent; 0 where there are none."""
        return 100 * self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """Share of the labels that were found, in percent; 0 where there are none."""
        return 100 * self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent; 0 where nothing was found."""
        return 200 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0


def areas(lanes: Iterable[np.ndarray], height: int = HEIGHT, width: int = WIDTH) -> list[Area | None]:
    """Each lane's pixels, see `exp.metrics.lane_area.area`; labels that are scored often are worth keeping so."""
    return [area(np.asarray(lane, dtype=np.float32), height, width) for lane in lanes]


def matched(predicted: Sequence[Area | None], labels: Sequence[Area | None], width: int = WIDTH) -> np.ndarray:
    """IoU of each pair of the one-to-one assignment with the greatest sum, float64 (min(predicted, labels),)."""
    from scipy.optimize import linear_sum_assignment

    if not predicted or not labels:
        return np.zeros(0)
    ious = iou_matrix(labels, predicted, width)
    return ious[linear_sum_assignment(ious, maximize=True)]


def count(ious: np.ndarray, predicted: int, labels: int, threshold: float) -> Count:
    """Hits and misses of one image.

    Args:
        ious: What `matched` gives.
        predicted: Number of predicted lanes.
        labels: Number of labels.
        threshold: IoU that has to be exceeded.
    """
    tp = int((ious > threshold).sum())
    return Count(tp, predicted - tp, labels - tp)


def score(
    predicted: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    thresholds: Sequence[float] = (0.5,),
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
) -> list[Count]:
    """Hits and misses of one image at each threshold.

    Args:
        predicted: Lanes, (points, 2) of (x, y) in pixels each.
        labels: Likewise.
        thresholds: IoUs that have to be exceeded.
        height: Rows of the image.
        width: Columns of the image.
    """
    ious = matched(areas(predicted, height, width), areas(labels, height, width), width)
    return [count(ious, len(predicted), len(labels), threshold) for threshold in thresholds]


@dataclass(frozen=True)
class _Image:
    name: str
    counts: list[Count]
    missing: bool
    repeated: int


def _score_file(job: tuple[Path, Path, str, tuple[float, ...], int, int]) -> _Image:
    pred, truth, name, thresholds, height, width = job
    labels = read_lines(truth / name)
    path = pred / name
    missing = not path.exists()
    predicted = [] if missing else read_lines(path)
    repeated = sum(len(distinct(lane)) < len(lane) for lane in (*labels, *predicted))
    return _Image(name, score(predicted, labels, thresholds, height=height, width=width), missing, repeated)


def label_name(image: str) -> str:
    """``/driver_x/y.MP4/00000.jpg`` -> ``driver_x/y.MP4/00000.lines.txt``."""
    name = image.strip().split()[0].lstrip("/")
    return name if name.endswith(ENDING) else name[: len(name) - len(Path(name).suffix)] + ENDING


def read_list(path: Path) -> list[str]:
    """Names of the label files of a list; further columns (masks, existence flags) are passed over.

    Raises:
        DataError: The list cannot be read, is empty or names an image twice.
    """
    try:
        names = [label_name(line) for line in path.read_text().splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file; a list holds one image a line") from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not names:
        raise DataError(f"{path}: an empty list; each line has to name an image")
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise DataError(f"{path}: {twice} stands there twice; take one out")
    return names


def category(path: Path) -> str:
    """``test0_normal.txt`` -> ``normal``; other names as they are."""
    head, _, tail = path.stem.partition("_")
    return tail if tail and head.startswith("test") and head[4:].isdigit() else path.stem


def evaluate(
    pred: Path,
    truth: Path,
    lists: dict[str, list[str]],
    thresholds: Sequence[float] = (0.5, 0.75),
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
    jobs: int = 0,
    per_image: bool = False,
) -> dict[str, Any]:
    """Scores folders of .lines.txt files.

    Args:
        pred: Folder of the predictions; a file that is not there counts as no lanes, with a warning.
        truth: Folder of the labels.
        lists: Names of the files by category; an image that stands in several counts once in the total.
        thresholds: IoUs that have to be exceeded; mF1 is always there.
        height: Rows of the images.
        width: Columns of the images.
        jobs: Processes; 0 takes one a core.
        per_image: Whether to give every image's counts.

    Returns:
        ``total`` and ``categories`` with images and, by threshold, tp, fp, fn, precision, recall and f1 (cross: fp),
        mf1, ``warnings``, and ``images`` where asked for.

    Raises:
        DataError: A label is missing or a file is damaged.
    """
    names = sorted({name for group in lists.values() for name in group})
    lacking = [name for name in names if not (truth / name).exists()]
    if lacking:
        raise DataError(f"{truth}: {len(lacking)} of {len(names)} labels are missing, the first is {lacking[0]}")
    all_thresholds = tuple(sorted({*thresholds, *MF1}))
    work = [(pred, truth, name, all_thresholds, height, width) for name in names]
    scored = {image.name: image for image in _scored(work, jobs)}
    warnings = []
    missing = sum(image.missing for image in scored.values())
    if missing == len(names):
        raise DataError(f"{pred}: none of the {len(names)} images has a prediction there; is it the right folder?")
    if missing:
        first = next(image.name for image in scored.values() if image.missing)
        warnings.append(f"{missing} of {len(names)} images have no prediction (the first is {first}): no lanes counted")
    repeated = sum(image.repeated for image in scored.values())
    if repeated:
        warnings.append(f"{repeated} lanes have points that repeat the one before; the repeats were passed over")
    warnings += _unlike_published(lists, scored)

    def summary(group: Iterable[str]) -> dict[str, Any]:
        images = [scored[name] for name in group]
        totals = [sum((image.counts[i] for image in images), Count()) for i in range(len(all_thresholds))]
        by_threshold = dict(zip(all_thresholds, totals, strict=True))
        return {
            "images": len(images),
            "iou": {f"{t:g}": _as_dict(by_threshold[t]) for t in thresholds},
            "mf1": sum(by_threshold[t].f1 for t in MF1) / len(MF1),
        }

    result: dict[str, Any] = {
        "total": summary(names),
        "categories": {name: summary(group) for name, group in lists.items()} if len(lists) > 1 else {},
        "warnings": warnings,
    }
    if per_image:
        places = [all_thresholds.index(t) for t in thresholds]
        result["images"] = {
            name: {
                f"{t:g}": [image.counts[i].tp, image.counts[i].fp, image.counts[i].fn]
                for t, i in zip(thresholds, places, strict=True)
            }
            for name, image in scored.items()
        }
    return result


def _as_dict(found: Count) -> dict[str, float]:
    rates = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
    return {"tp": found.tp, "fp": found.fp, "fn": found.fn, **rates}


def _scored(work: list[tuple[Path, Path, str, tuple[float, ...], int, int]], jobs: int) -> list[_Image]:
    jobs = min(jobs or len(os.sched_getaffinity(0)), -(-len(work) // _CHUNK))
    if jobs <= 1:
        return [_score_file(job) for job in work]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_one_thread) as pool:
        return list(pool.map(_score_file, work, chunksize=_CHUNK))


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(0)


def _unlike_published(lists: dict[str, list[str]], scored: dict[str, _Image]) -> list[str]:
    """What differs from the published test set where the lists are, or look like, its nine."""
    labels = sum(image.counts[0].tp + image.counts[0].fn for image in scored.values())
    found = []
    if len(lists) > 1 and set(lists) == set(PUBLISHED_IMAGES):
        for name, wanted in PUBLISHED_IMAGES.items():
            if len(lists[name]) != wanted:
                found.append(f"{name} has {len(lists[name])} images, the published list {wanted}")
    if len(scored) == sum(PUBLISHED_IMAGES.values()) and labels != PUBLISHED_LANES:
        found.append(
            f"the labels hold {labels} lanes, the published test set {PUBLISHED_LANES}; take annotations_new.tar.gz"
        )
    return found


def _table(result: dict[str, Any]) -> str:
    rows = [*result["categories"].items(), ("total", result["total"])]
    thresholds = list(result["total"]["iou"])
    head = f"{'':10}{'images':>8}" + "".join(
        f"{'F1@' + t:>10}{'tp':>8}{'fp':>8}{'fn':>8}" for t in (str(float(t)) for t in thresholds)
    )
    lines = [head + f"{'mF1':>9}"]
    for name, part in rows:
        line = f"{name:10}{part['images']:>8}"
        for t in thresholds:
            found = part["iou"][t]
            rate = "" if name == CROSS else f"{found['f1']:.2f}"
            line += f"{rate:>10}{found['tp']:>8}{found['fp']:>8}{found['fn']:>8}"
        lines.append(line + ("" if name == CROSS else f"{part['mf1']:>9.2f}"))
    return "\n".join(lines)


def _lists(arguments: argparse.Namespace) -> dict[str, list[str]]:
    if arguments.splits:
        paths = sorted(arguments.splits.glob("*.txt"))
        if not paths:
            raise DataError(
                f"{arguments.splits}: no lists there; it has to be the folder of test0_normal.txt and so on"
            )
        return {category(path): read_list(path) for path in paths}
    if arguments.list:
        return {"all": read_list(arguments.list)}
    names = sorted(path.relative_to(arguments.gt).as_posix() for path in arguments.gt.rglob(f"*{ENDING}"))
    if not names:
        raise DataError(f"{arguments.gt}: no {ENDING} files there; it has to be the folder of the labels")
    return {"all": names}


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns 0, or 2 where something given cannot stand."""
    parser = argparse.ArgumentParser(prog="python -m exp.metrics.culane", description=(__doc__ or "").split(";")[0])
    parser.add_argument("--pred", type=Path, required=True, help=f"folder of predicted {ENDING} files")
    parser.add_argument("--gt", type=Path, required=True, help=f"folder of the label {ENDING} files")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", type=Path, help="file that lists the images; all labels where not given")
    which.add_argument("--splits", type=Path, help="folder of lists, one a category (list/test_split)")
    parser.add_argument("--iou", type=float, nargs="+", default=[0.5, 0.75], help="thresholds (0.5 0.75)")
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help=f"image size ({WIDTH}x{HEIGHT})")
    parser.add_argument("--jobs", type=int, default=0, help="processes; one a core where not given")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json has every image's counts")
    arguments = parser.parse_args(words)
    try:
        width, height = (int(part) for part in arguments.size.split("x"))
    except ValueError:
        parser.error(f"--size {arguments.size}: expected WIDTHxHEIGHT, such as {WIDTH}x{HEIGHT}")
    if width < 1 or height < 1 or not all(0 <= t < 1 for t in arguments.iou):
        parser.error("--size has to be positive and every --iou at least 0 and below 1")
    try:
        for option, folder in (("--pred", arguments.pred), ("--gt", arguments.gt), ("--splits", arguments.splits)):
            if folder is not None and not folder.is_dir():
                raise DataError(f"{option} {folder}: no such folder")
        result = evaluate(
            arguments.pred,
            arguments.gt,
            _lists(arguments),
            arguments.iou,
            height=height,
            width=width,
            jobs=arguments.jobs,
            per_image=arguments.format == "json",
        )
    except DataError as error:
        print(f"exp.metrics.culane: {error}", file=sys.stderr)
        return 2
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(result) if arguments.format == "json" else _table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

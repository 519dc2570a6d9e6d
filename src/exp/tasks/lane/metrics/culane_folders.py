"""CULane's F1 of folders of .lines.txt files, by category and in total. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from exp.data.source import DataError
from exp.tasks.lane.data.lines import read_lines
from exp.tasks.lane.metrics.area import LINE_WIDTH, distinct
from exp.tasks.lane.metrics.culane import CROSS, HEIGHT, MF1, WIDTH, Count, score

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
_CHUNK = 64  # images that a process takes at a time


@dataclass(frozen=True)
class _Job:
    """An image to score: the two folders, its name in both, and how it is scored."""

    pred: Path
    truth: Path
    name: str
    thresholds: tuple[float, ...]
    height: int
    width: int
    line_width: int


@dataclass(frozen=True)
class _Image:
    """A scored image: counts by threshold, whether its prediction is missing, lanes with repeated points."""

    name: str
    counts: list[Count]
    missing: bool
    repeated: int


def evaluate(
    pred: Path,
    truth: Path,
    lists: dict[str, list[str]],
    thresholds: Sequence[float] = (0.5, 0.75),
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
    line_width: int = LINE_WIDTH,
    jobs: int = 0,
    per_image: bool = False,
) -> dict[str, Any]:
    """Scores folders of .lines.txt files.

    Args:
        pred: Folder of the predictions; a missing file counts as no lanes, with a warning.
        truth: Folder of the labels.
        lists: Names of the files by category; an image in several of them counts once in the total.
        thresholds: IoUs that have to be exceeded; mF1 is always given.
        height: Rows of the images.
        width: Columns of the images.
        line_width: Pixels across a lane.
        jobs: Processes; 0 takes one for each core.
        per_image: Whether to give every image's counts.

    Returns:
        ``total`` and ``categories`` with images and, by threshold, tp, fp, fn, precision, recall and f1, mf1,
        ``warnings``, and ``images`` where asked for.

    Raises:
        DataError: A label is missing or a file is damaged.
    """
    names = sorted({name for group in lists.values() for name in group})
    lacking = [name for name in names if not (truth / name).exists()]
    if lacking:
        raise DataError(f"{truth}: {len(lacking)} of {len(names)} labels are missing, the first is {lacking[0]}")
    counted = tuple(sorted({*thresholds, *MF1}))
    work = [_Job(pred, truth, name, counted, height, width, line_width) for name in names]
    scored = {image.name: image for image in _scored(work, jobs)}
    warnings = _warnings(pred, scored) + _unlike_published(lists, scored)
    result: dict[str, Any] = {
        "total": _summary([scored[name] for name in names], counted, thresholds),
        "categories": {},
        "warnings": warnings,
    }
    if len(lists) > 1:
        for category, group in lists.items():
            result["categories"][category] = _summary([scored[name] for name in group], counted, thresholds)
    if per_image:
        result["images"] = {name: _by_threshold(image, counted, thresholds) for name, image in scored.items()}
    return result


def _scored(work: list[_Job], jobs: int) -> list[_Image]:
    jobs = min(jobs or len(os.sched_getaffinity(0)), -(-len(work) // _CHUNK))
    if jobs <= 1:
        return [_score_file(job) for job in work]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_one_thread) as pool:
        return list(pool.map(_score_file, work, chunksize=_CHUNK))


def _one_thread() -> None:
    cv2.setNumThreads(0)


def _score_file(job: _Job) -> _Image:
    labels = read_lines(job.truth / job.name)
    path = job.pred / job.name
    missing = not path.exists()
    predicted = [] if missing else read_lines(path)
    repeated = sum(len(distinct(lane)) < len(lane) for lane in (*labels, *predicted))
    size = {"height": job.height, "width": job.width, "line_width": job.line_width}
    counts = score(predicted, labels, job.thresholds, **size)
    return _Image(job.name, counts, missing, repeated)


def _summary(images: Sequence[_Image], counted: Sequence[float], thresholds: Iterable[float]) -> dict[str, Any]:
    """Returns the scores of a group of images, each counted at the thresholds ``counted``."""
    totals = {t: sum((image.counts[i] for image in images), Count()) for i, t in enumerate(counted)}
    return {
        "images": len(images),
        "iou": {f"{t:g}": _as_dict(totals[t]) for t in thresholds},
        "mf1": sum(totals[t].f1 for t in MF1) / len(MF1),
    }


def _as_dict(total: Count) -> dict[str, float]:
    rates = {"precision": total.precision, "recall": total.recall, "f1": total.f1}
    return {"tp": total.tp, "fp": total.fp, "fn": total.fn, **rates}


def _by_threshold(image: _Image, counted: Sequence[float], thresholds: Iterable[float]) -> dict[str, list[int]]:
    by_threshold = dict(zip(counted, image.counts, strict=True))
    return {f"{t:g}": [by_threshold[t].tp, by_threshold[t].fp, by_threshold[t].fn] for t in thresholds}


def _warnings(pred: Path, scored: dict[str, _Image]) -> list[str]:
    """Returns what is odd about the predictions.

    Raises:
        DataError: There are none.
    """
    warnings = []
    missing = [image.name for image in scored.values() if image.missing]
    if len(missing) == len(scored):
        raise DataError(f"{pred}: none of the {len(scored)} images has a prediction there; is it the right folder?")
    if missing:
        warnings.append(
            f"{len(missing)} of {len(scored)} images have no prediction (the first is {missing[0]}): no lanes counted"
        )
    repeated = sum(image.repeated for image in scored.values())
    if repeated:
        warnings.append(f"{repeated} lanes have points that repeat the one before; the repeats were passed over")
    return warnings


def _unlike_published(lists: dict[str, list[str]], scored: dict[str, _Image]) -> list[str]:
    """Returns what differs from the published test set where the lists are, or look like, its nine."""
    differences = []
    if len(lists) > 1 and set(lists) == set(PUBLISHED_IMAGES):
        for name, wanted in PUBLISHED_IMAGES.items():
            if len(lists[name]) != wanted:
                differences.append(f"{name} has {len(lists[name])} images, the published list {wanted}")
    labels = sum(image.counts[0].tp + image.counts[0].fn for image in scored.values())
    if not labels:
        differences.append(
            f"none of the {len(scored)} labels has a lane: F1 is 0 whatever is predicted, only false positives count"
        )
    if len(scored) == sum(PUBLISHED_IMAGES.values()) and labels != PUBLISHED_LANES:
        differences.append(
            f"the labels hold {labels} lanes, the published test set {PUBLISHED_LANES}; take annotations_new.tar.gz"
        )
    return differences

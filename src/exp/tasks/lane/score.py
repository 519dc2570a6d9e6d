"""Official lane scores of files of predictions: ``exp score culane ...`` and ``exp score tusimple ...``. Torch-free."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from exp.options.errors import ConfigError, DataError
from exp.tasks.file_score import FileScore
from exp.tasks.lane.data.culane import category, label_name, read_list
from exp.tasks.lane.data.lines import ENDING
from exp.tasks.lane.data.tusimple import read_frames
from exp.tasks.lane.metrics import culane_folders, tusimple
from exp.tasks.lane.metrics.area import LINE_WIDTH, WIDEST
from exp.tasks.lane.metrics.culane import CROSS, HEIGHT, WIDTH


def culane_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of CULane's score."""
    parser.add_argument("--pred", type=Path, required=True, help=f"folder of predicted {ENDING} files")
    parser.add_argument("--gt", type=Path, required=True, help=f"folder of the label {ENDING} files")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", type=Path, help="file that lists the images; all labels where not given")
    which.add_argument("--splits", type=Path, help="folder of lists, one for each category (list/test_split)")
    parser.add_argument("--iou", type=float, nargs="+", default=[0.5, 0.75], help="thresholds (0.5 0.75)")
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help=f"image size ({WIDTH}x{HEIGHT})")
    parser.add_argument("--line-width", type=int, default=LINE_WIDTH, help=f"pixels across a lane ({LINE_WIDTH})")
    parser.add_argument("--jobs", type=int, default=0, help="processes; one for each core where not given")


def culane_scored(given: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Returns CULane's F1 of a folder of predictions, as plain values (as JSON, with every image's) and as text.

    Raises:
        DataError: Files are missing or damaged.
        ConfigError: The size, the width of lanes or a threshold cannot be.
    """
    try:
        width, height = (int(part) for part in given.size.split("x"))
    except ValueError:
        raise ConfigError(f"--size {given.size}: expected WIDTHxHEIGHT, such as {WIDTH}x{HEIGHT}") from None
    if width < 1 or height < 1:
        raise ConfigError(f"--size {given.size}: both numbers have to be positive")
    if wrong := [t for t in given.iou if not 0 <= t < 1]:
        raise ConfigError(f"--iou {wrong[0]:g}: has to be at least 0 and below 1")
    if not 1 <= given.line_width <= WIDEST:
        raise ConfigError(f"--line-width {given.line_width}: from 1 to {WIDEST}")
    result = _culane(given, height, width)
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    return result, _table(result)


def _culane(given: argparse.Namespace, height: int, width: int) -> dict[str, Any]:
    for option, folder in (("--pred", given.pred), ("--gt", given.gt), ("--splits", given.splits)):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{option} {folder}: no such folder")
    return culane_folders.evaluate(
        given.pred,
        given.gt,
        _lists(given),
        given.iou,
        height=height,
        width=width,
        line_width=given.line_width,
        jobs=given.jobs,
        per_image=given.format == "json",
    )


def _lists(given: argparse.Namespace) -> dict[str, list[str]]:
    """Returns the names of the label files to score by category."""
    if given.splits:
        paths = sorted(given.splits.glob("*.txt"))
        if not paths:
            raise DataError(f"{given.splits}: no lists there; it has to be the folder of test0_normal.txt and so on")
        return {category(path): [label_name(image) for image in read_list(path)] for path in paths}
    if given.list:
        return {"all": [label_name(image) for image in read_list(given.list)]}
    names = sorted(_below(given.gt))
    if not names:
        raise DataError(f"{given.gt}: no {ENDING} files there; it has to be the folder of the labels")
    return {"all": names}


def _below(root: Path) -> list[str]:
    """Returns the labels below a folder, links to folders followed, each folder once."""
    names, seen = [], set()
    for folder, folders, files in os.walk(root, followlinks=True):
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        names += [(Path(folder) / file).relative_to(root).as_posix() for file in files if file.endswith(ENDING)]
    return names


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
            counts = part["iou"][t]
            rate = "" if name == CROSS else f"{counts['f1']:.2f}"
            line += f"{rate:>10}{counts['tp']:>8}{counts['fp']:>8}{counts['fn']:>8}"
        lines.append(line + ("" if name == CROSS else f"{part['mf1']:>9.2f}"))
    return "\n".join(lines)


def tusimple_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of TuSimple's score."""
    parser.add_argument("pred", type=Path, help="predictions, one JSON object a line")
    parser.add_argument("gt", type=Path, help="labels, one JSON object a line")
    parser.add_argument("--no-time", action="store_true", help="count frames of any run_time, also without one")


def tusimple_scored(given: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Returns TuSimple's accuracy, FP, FN and F1 of a file of predictions: shares, and percentages as text.

    Raises:
        DataError: Files are missing or damaged.
    """
    wanted = ("raw_file", "lanes", *(() if given.no_time else ("run_time",)))
    predicted = [frame for _, frame in read_frames(given.pred, wanted)]
    labels = [frame for _, frame in read_frames(given.gt, ("raw_file", "lanes", "h_samples"))]
    score = tusimple.evaluate(predicted, labels, timed=not given.no_time)
    numbers = {"accuracy": score.accuracy, "fp": score.fp, "fn": score.fn, "f1": score.f1}
    return numbers, "  ".join(f"{name} {100 * value:.2f}" for name, value in numbers.items())


SCORES = {
    "culane": FileScore(
        "CULane's F1 of a folder of predictions, exactly as the official evaluator counts it.",
        culane_arguments,
        culane_scored,
    ),
    "tusimple": FileScore(
        "TuSimple's accuracy, FP and FN of a file of predictions by the official rules.",
        tusimple_arguments,
        tusimple_scored,
    ),
}
"""The scores by name, as ``exp score`` finds them."""

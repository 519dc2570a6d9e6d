"""Official lane scores of files of predictions: ``exp score culane ...`` and ``exp score tusimple ...``. Torch-free."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exp.data.source import DataError
from exp.tasks.lane.data.culane import category, label_name, read_list
from exp.tasks.lane.data.lines import ENDING
from exp.tasks.lane.data.tusimple import read_frames
from exp.tasks.lane.metrics import culane_folders, tusimple
from exp.tasks.lane.metrics.area import LINE_WIDTH, WIDEST
from exp.tasks.lane.metrics.culane import CROSS, HEIGHT, WIDTH


def score_culane(words: list[str], prog: str) -> int:
    """Prints CULane's F1 of a folder of predictions, exactly as the official evaluator counts it.

    Args:
        words: The command line after the name of the score.
        prog: How the command is called, for help and errors.

    Returns:
        The exit code: 0, or 2 where files are missing or damaged.

    Raises:
        SystemExit: Help was asked for (code 0), or the command line is wrong (code 2).
    """
    parser = argparse.ArgumentParser(prog=prog, description=_first_line(score_culane))
    parser.add_argument("--pred", type=Path, required=True, help=f"folder of predicted {ENDING} files")
    parser.add_argument("--gt", type=Path, required=True, help=f"folder of the label {ENDING} files")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--list", type=Path, help="file that lists the images; all labels where not given")
    which.add_argument("--splits", type=Path, help="folder of lists, one for each category (list/test_split)")
    parser.add_argument("--iou", type=float, nargs="+", default=[0.5, 0.75], help="thresholds (0.5 0.75)")
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help=f"image size ({WIDTH}x{HEIGHT})")
    parser.add_argument("--line-width", type=int, default=LINE_WIDTH, help=f"pixels across a lane ({LINE_WIDTH})")
    parser.add_argument("--jobs", type=int, default=0, help="processes; one for each core where not given")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json has every image's counts")
    given = parser.parse_args(words)
    try:
        width, height = (int(part) for part in given.size.split("x"))
    except ValueError:
        parser.error(f"--size {given.size}: expected WIDTHxHEIGHT, such as {WIDTH}x{HEIGHT}")
    if width < 1 or height < 1 or not all(0 <= t < 1 for t in given.iou):
        parser.error("--size has to be positive and every --iou at least 0 and below 1")
    if not 1 <= given.line_width <= WIDEST:
        parser.error(f"--line-width {given.line_width}: from 1 to {WIDEST}")
    try:
        result = _culane(given, height, width)
    except DataError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(result) if given.format == "json" else _table(result))
    return 0


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


def score_tusimple(words: list[str], prog: str) -> int:
    """Prints TuSimple's accuracy, FP and FN of a file of predictions by the official rules.

    Args:
        words: The command line after the name of the score.
        prog: How the command is called, for help and errors.

    Returns:
        The exit code: 0, or 2 where files are missing or damaged.

    Raises:
        SystemExit: Help was asked for (code 0), or the command line is wrong (code 2).
    """
    parser = argparse.ArgumentParser(prog=prog, description=_first_line(score_tusimple))
    parser.add_argument("pred", type=Path, help="predictions, one JSON object a line")
    parser.add_argument("gt", type=Path, help="labels, one JSON object a line")
    parser.add_argument("--no-time", action="store_true", help="count frames of any run_time, also without one")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text has percentages, json shares")
    given = parser.parse_args(words)
    try:
        wanted = ("raw_file", "lanes", *(() if given.no_time else ("run_time",)))
        predicted = [frame for _, frame in read_frames(given.pred, wanted)]
        labels = [frame for _, frame in read_frames(given.gt, ("raw_file", "lanes", "h_samples"))]
        score = tusimple.evaluate(predicted, labels, timed=not given.no_time)
    except DataError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    numbers = {"accuracy": score.accuracy, "fp": score.fp, "fn": score.fn, "f1": score.f1}
    if given.format == "json":
        print(json.dumps(numbers))
    else:
        print("  ".join(f"{name} {100 * value:.2f}" for name, value in numbers.items()))
    return 0


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


SCORES: dict[str, Callable[[list[str], str], int]] = {"culane": score_culane, "tusimple": score_tusimple}
"""Scores by name; each takes the words of its command line and what the command is called."""

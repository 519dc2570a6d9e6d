"""Predicts the probabilities of the expressions for face crops of any size, in colour or grey.

``exp predict task=fer ckpt=CELL/best.ckpt photo.png ...`` prints them; ``format=json`` prints one object a
file. With the competition's test.csv (a column of pixels) instead of photos, ``out`` (submission.csv) gets
``id,emotion`` for each row. A photo is taken as a face crop: its centre square is made grey and resized to 48x48; no
face is looked for.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from exp.data.decode import read_grey
from exp.options.errors import ConfigError, DataError, nearest
from exp.tasks.checkpoint import load_task
from exp.tasks.fer.data.expression import EXPRESSIONS, SIDE
from exp.tasks.fer.data.fer_csv import PIXELS, count_rows, read_faces

if TYPE_CHECKING:
    from exp.tasks.fer.module import Fer

FORMATS = ("text", "json")


def predict(options: dict[str, str], paths: Sequence[Path]) -> int:
    """Prints probabilities, or writes a submission.

    Args:
        options: ``ckpt``; for photos ``format``; for a csv file ``out``.
        paths: Photos, or one csv file.

    Returns:
        0, or 1 where some photos could not be read.

    Raises:
        ConfigError: An option is unknown or wrong, or the files are not photos or one csv file.
        DataError: The csv file, or every photo, cannot be read.
    """
    sheets = [path for path in paths if path.suffix.lower() == ".csv"]
    if not paths or (sheets and len(paths) > 1):
        raise ConfigError("give face crops (photo.png ...), or one csv file with a column of pixels")
    known = ("ckpt", "out" if sheets else "format")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such option{nearest(unknown[0], known)}; there are {', '.join(known)}")
    form = options.get("format", "text")
    if form not in FORMATS:
        raise ConfigError(f"format={form}: not one of {', '.join(FORMATS)}")
    task = cast("Fer", load_task(options.get("ckpt"), "fer"))
    if task.source.shape != (1, SIDE, SIDE):
        raise ConfigError(f"ckpt={options['ckpt']}: was trained on images of {task.source.shape}, not on 48x48 grey")
    if sheets:
        return _submission(task, sheets[0], Path(options.get("out", "submission.csv")))
    faces, read = [], []
    for path in paths:
        try:
            faces.append(face_crop(path))
        except DataError as error:
            print(f"exp predict: {error}", file=sys.stderr)
            continue
        read.append(path)
    if not faces:
        raise DataError("none of the photos could be read")
    for path, probabilities in zip(read, task.probabilities(np.stack(faces)[:, None]), strict=True):
        pairs = list(zip(task.class_names, probabilities.tolist(), strict=True))
        if form == "json":
            print(json.dumps({"file": str(path), **{label: round(value, 6) for label, value in pairs}}))
            continue
        print(path)
        for place, (label, value) in enumerate(pairs):
            print(f"  {label:<10} {100 * value:5.1f} %{'  <' if place == probabilities.argmax() else ''}")
    return 0 if len(read) == len(paths) else 1


def face_crop(path: Path) -> np.ndarray:
    """Returns the centre square of an image, grey, uint8 (48, 48).

    Raises:
        DataError: The image cannot be read.
    """
    import cv2

    image = read_grey(path)
    side = min(image.shape)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return square if side == SIDE else cv2.resize(square, (SIDE, SIDE), interpolation=how)


def _submission(task: "Fer", path: Path, out: Path) -> int:
    """Writes the predicted class of each row of a csv file; returns 0."""
    if task.class_names != list(EXPRESSIONS):
        raise ConfigError("a submission has the competition's seven classes; this checkpoint has those of FER+")
    table = np.empty((count_rows(path), PIXELS + 2), dtype=np.uint8)
    read_faces(path, ("pixels",), table)
    if not len(table):
        raise DataError(f"{path}: has no rows")
    answers = task.probabilities(table[:, :PIXELS].reshape(-1, 1, SIDE, SIDE)).argmax(1)
    try:
        with out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "emotion"])
            writer.writerows(enumerate(answers.tolist()))
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror}); give another place with out=") from None
    numbers = ", ".join(f"{number} {name}" for number, name in enumerate(EXPRESSIONS))
    print(f"{len(answers)} rows in {out} ({numbers})")
    return 0

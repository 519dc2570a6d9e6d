"""The second start on a set in its publisher's files against the first, which reads and converts them.

``python benchmarks/reading.py`` writes a csv of 5,000 faces as FER2013 has it, a tree of 440 walks of 20 silhouettes as
CASIA-B has it, and loads each twice with an empty cache. Both times the numbers have to be the same.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from exp.options.compose import resolved
from measure import Row, main

PARTS = {"Training": 4000, "PublicTest": 500, "PrivateTest": 500}
TYPES = [*(f"nm-{n:02}" for n in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02"]


def faces(folder: Path) -> list[str]:
    """Writes FER2013's csv and returns the words that choose it."""
    draws = np.random.default_rng(0)
    with (folder / "fer2013.csv").open("w") as file:
        file.write("emotion,pixels,Usage\n")
        for usage, count in PARTS.items():
            for face in range(count):
                pixels = " ".join(map(str, draws.integers(0, 256, 48 * 48).tolist()))
                file.write(f"{face % 7},{pixels},{usage}\n")
    return ["task=fer", "data=fer2013", "data.counts=any"]


def walkers(folder: Path) -> list[str]:
    """Writes CASIA-B's tree for four people, silhouettes of 240 x 320, and returns the words that choose it."""
    draws = np.random.default_rng(0)
    for person in ("001", "002", "075", "076"):
        for kind in TYPES:
            for view in range(0, 181, 18):
                place = folder / person / kind / f"{view:03}"
                place.mkdir(parents=True)
                for frame in range(20):
                    image = np.zeros((240, 320), np.uint8)
                    x, y = draws.integers(120, 200), draws.integers(110, 130)
                    cv2.ellipse(image, (int(x), int(y)), (25, 80), 0, 0, 360, 255, -1)
                    cv2.imwrite(str(place / f"{frame:03}.png"), image)
    return ["task=gait", "data=casia_b"]


def rows() -> Iterator[Row]:
    """Measures."""
    makers: list[tuple[str, Callable[[Path], list[str]]]] = [
        ("a csv of 5,000 faces", faces),
        ("440 walks of 20 silhouettes", walkers),
    ]
    for what, write in makers:
        with tempfile.TemporaryDirectory() as made:
            root = Path(made) / "set"
            root.mkdir()
            os.environ["EXP_CACHE"] = str(Path(made) / "cache")
            options = resolved([*write(root), f"data.root={root}"]).config.data
            for path in root.rglob("*"):
                os.utime(path, (0, 0))  # what was written just now might change again unseen, so it is read twice
            spent, found = [], []
            for _ in range(2):
                began = time.process_time()
                parts = options.reader().load()
                spent.append(time.process_time() - began)
                found.append({name: _sum(part) for name, part in parts.items()})
        detail = f"{1000 * spent[1]:.1f} : {1000 * spent[0]:.0f} ms"
        ratio = round(spent[1] / spent[0], 4)
        yield Row(f"{what}, again", "the first time", "CPU time", ratio, 0.02, found[0] == found[1], detail)


def _sum(part: Any) -> int:
    images = getattr(part, "images", None)
    return int(np.asarray(part.frames if images is None else images).sum(dtype=np.int64))


if __name__ == "__main__":
    main(rows, __doc__)

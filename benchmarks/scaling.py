"""How the cost of what users make larger grows with it: the slope of CPU time against size, both as logarithms.

``python benchmarks/scaling.py`` doubles each size twice. A slope of 1 is linear; a distance of every pair has to be 2.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from exp.options.compose import composed
from exp.sweep.plan import plan
from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances
from exp.tasks.gait.metrics.casia_b import evaluate
from exp.tasks.lane.metrics.culane import HEIGHT, WIDTH, areas
from feeding import COLOURS, ours
from gait import PARTS, walks
from lane import Seen, decoder
from measure import Row, main

SLACK = 0.15
"""What a slope may exceed its power by, since small sizes fit into caches that large ones do not."""


def slope(sizes: list[int], work: Callable[[int], Callable[[], Any]], rounds: int = 3) -> tuple[float, list[float]]:
    """Returns the slope of the least squares line, and the median CPU seconds of each size."""
    seconds = []
    for size in sizes:
        run = work(size)
        run()
        spent = []
        for _ in range(rounds):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        seconds.append(statistics.median(spent))
    return float(np.polyfit([math.log(size) for size in sizes], np.log(seconds), 1)[0]), seconds


def feeding(images: int) -> Callable[[], Any]:
    """An epoch's batches of so many images of 32 pixels."""
    loader = ours(np.zeros((images, 3, 32, 32), np.uint8), np.zeros(images, np.int64), COLOURS)
    return lambda: [None for _ in loader]


def losses(clips: int) -> Callable[[], Any]:
    """The triplet loss of so many clips, eight a person."""
    x, labels = torch.randn(clips, 256, PARTS), torch.arange(clips // 8).repeat_interleave(8)
    return lambda: batch_all_triplet(part_distances(x), labels, margin=0.2)


def ranks(people: int) -> Callable[[], Any]:
    """CASIA-B's scores of so many people, 110 walks each."""
    arrays = walks()
    kept = np.flatnonzero(arrays["ids"].astype(int) < people)
    return lambda: evaluate(**{name: values[kept] for name, values in arrays.items()})


def drawing(lanes: int) -> Callable[[], Any]:
    """The pixels of so many lanes."""
    rows = np.arange(HEIGHT - 1, 250, -10, dtype=np.float32)
    bent = [np.stack([WIDTH / 2 + 300 * np.sin(rows / 300 + lane), rows], 1) for lane in range(lanes)]
    return lambda: areas(bent)


def decoding(tokens: int) -> Callable[[], Any]:
    """Four lanes that read so many visual tokens."""
    model, seen = decoder(), Seen([torch.randn(1, tokens, 256)], [None], [])

    def run() -> None:
        with torch.inference_mode():
            model.generate(model.remember(seen))

    return run


def planning(cells: int) -> Callable[[], Any]:
    """A grid of so many cells, none of which has run."""
    folder = Path(tempfile.gettempdir()) / "nothing-there"
    words = [[f"seed={cell}", f"cells.dir={folder}"] for cell in range(cells)]
    return lambda: plan(words, composed)


def rows() -> Iterator[Row]:
    """Measures."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    kinds: list[tuple[str, list[int], Callable[[int], Callable[[], Any]], int]] = [
        ("an epoch's batches, by images", [2048, 4096, 8192], feeding, 1),
        ("triplet loss, by clips", [128, 256, 512], losses, 2),
        ("CASIA-B's scores, by people", [12, 25, 50], ranks, 2),
        ("a lane's pixels, by lanes", [40, 80, 160], drawing, 1),
        ("decoding lanes, by visual tokens", [1500, 3000, 6000], decoding, 1),
        ("planning a sweep, by cells", [250, 500, 1000], planning, 1),
    ]
    for what, sizes, work, power in kinds:
        found, seconds = slope(sizes, work)
        detail = ", ".join(f"{size}: {1000 * one:.0f} ms" for size, one in zip(sizes, seconds, strict=True))
        yield Row(what, f"size to the power {power}", "slope", round(found, 2), power + SLACK, True, detail)


if __name__ == "__main__":
    main(rows, __doc__)

"""What a large or finished sweep costs beside its training, and what a run needs of memory.

``python benchmarks/grid.py`` runs a grid of 12 cells twice; plans, skips and renders a table of 10,000 cells whose
results are there; and trains some steps on pictures of CIFAR-100's number and size.
"""

import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exp.tables.plan import Planner
from measure import Row, main
from startup import started

HERE = Path(__file__).parent
EXP = [sys.executable, "-m", "exp"]
GRID = ["--multirun", "att=none,se,eca,ca", "seed=0,1,2", "width=4", "trainer.max_epochs=1", "trainer.threads=1"]
KINDS = {"fine": 100, "coarse": 20}
ROWS, SEEDS = 100, 100
TABLE = """
title: Many cells
base: {{task: attention, recipe: quick, data: digits, width: 4}}
rows: {{{rows}}}
columns: {{acc: {{metric: test/top1, unit: "%"}}}}
seeds: [{seeds}]
"""
MEMORY = """
import resource, sys
import torch, lightning.pytorch, torchmetrics, matplotlib.figure
from exp.__main__ import run
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = run(sys.argv[1:])
print("PEAK", 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
sys.exit(code)
"""


def finished(folder: Path) -> Row:
    """A grid of 12 cells of a second or two, and the same command again."""
    first, _ = started([*EXP, *GRID, "sweep.jobs=2"], folder)
    results = {path: path.read_bytes() for path in folder.glob("multirun/*/*/result.json")}
    again, said = started([*EXP, *GRID, "sweep.jobs=2"], folder)
    equal = b"0 cells run, 12 not run again" in said and len(results) == 12
    equal &= all(path.read_bytes() == content for path, content in results.items())
    return Row("12 cells, again", "the first time", "CPU time", round(again / first, 3), 0.03, equal,
               f"{again:.2f} : {first:.1f} s")  # fmt: skip


def planned(folder: Path) -> Row:
    """10,000 cells that are done, planned, skipped and rendered, against reading as many results of a kilobyte."""
    rows = ", ".join(f"lr{n}: {{lr: {n / 1000}}}" for n in range(1, ROWS + 1))
    (folder / "many.yaml").write_text(TABLE.format(rows=rows, seeds=", ".join(map(str, range(SEEDS)))))
    assert started([*EXP, "width=4", "trainer.max_epochs=1", "trainer.threads=1", "cells.dir=one"], folder)[0]
    (real,) = folder.glob("one/*/*/result.json")
    result = json.loads(real.read_text())
    for number, cell in enumerate(Planner(folder / "multirun", judged=False).plan("many").cells):
        made = cell.cell.path
        made.mkdir(parents=True)
        own = {"seed": cell.seed, "test": {**result["test"], "top1": 50 + number % 40}}
        (made / "result.json").write_text(json.dumps(result | own | {"confusion": [], "code": {}, "config": {}}))
        (made / "small.json").write_text(json.dumps({"seed": cell.seed, "test": own["test"], "filler": "x" * 800}))
    started([*EXP, "table", "many"], folder)  # composes, which is kept
    spent, said = started([*EXP, "table", "many"], folder)
    began = time.process_time()
    count = sum("test" in json.loads(path.read_text()) for path in sorted(folder.glob("multirun/*/*/small.json")))
    reading = time.process_time() - began
    equal = count == ROWS * SEEDS and b"lr100" in said
    return Row("10,000 cells planned, skipped, shown", "reading 10,000 small files", "CPU time",
               round(spent / reading, 2), 3.0, equal, f"{spent:.2f} : {reading:.2f} s")  # fmt: skip


def memory(folder: Path) -> Row:
    """The memory of a run beyond what the libraries take, against its data, weights and activations by count."""
    draws = np.random.default_rng(0)
    archive = folder / "cifar-100-python"
    archive.mkdir()
    for part, count in (("train", 50_000), ("test", 10_000)):
        fine = (np.arange(count) % 100).tolist()
        pixels = draws.integers(0, 256, (count, 3072), dtype=np.uint8)
        content = {b"data": pixels, b"fine_labels": fine, b"coarse_labels": [label // 5 for label in fine]}
        (archive / part).write_bytes(pickle.dumps(content))
    names = {
        b"fine_label_names": [b"%d" % n for n in range(100)],
        b"coarse_label_names": [b"%d" % n for n in range(20)],
    }
    (archive / "meta").write_bytes(pickle.dumps(names))
    words = [
        "data=cifar100",
        f"data.root={folder}",
        "model=resnet18",
        "width=64",
        "batch_size=128",
        "trainer.threads=1",
    ]
    words += ["trainer.max_epochs=1", "trainer.limit_train_batches=3", "trainer.limit_val_batches=1"]
    words += ["trainer.limit_test_batches=1", "recipe=quick"]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    peak = int(match[1]) if (match := re.search(r"PEAK (\d+)", done.stdout)) else 0
    counted = 60_000 * 3072 + _weights_and_activations()
    if not peak:
        print(done.stdout, done.stderr, file=sys.stderr)
    return Row("memory of a run, CIFAR-100, ResNet-18", "by count", "peak memory", round(peak / counted, 2), 1.3,
               done.returncode == 0 and peak > 0, f"{peak / 1e6:.0f} : {counted / 1e6:.0f} MB")  # fmt: skip


def _weights_and_activations() -> int:
    """Bytes of weights, gradients and two averages of Adam, and of what a batch's forward pass keeps."""
    import torch

    from exp.layers.options import RESNETS
    from exp.layers.resnet import ResNet
    from measure import kept

    net = ResNet(RESNETS["resnet18"](stem="cifar"), num_classes=100)
    x = torch.zeros(128, 3, 32, 32)
    weights = sum(4 * parameter.numel() for parameter in net.parameters())
    return 3 * weights + kept(lambda: net(x))  # the weights themselves are among what is kept


def rows() -> Iterator[Row]:
    """Measures."""
    for way in (finished, planned, memory):
        with tempfile.TemporaryDirectory() as made:
            os.chdir(made)  # where tables of one's own are looked for
            yield way(Path(made))
            os.chdir(HERE)


if __name__ == "__main__":
    main(rows, __doc__)

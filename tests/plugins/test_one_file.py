"""A file that is a task may hold whatever tensors its loss and scores take: regression, several labels, masks, text."""

import json
from pathlib import Path

import pytest

from tests.conftest import exp, python, results

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F

draw = torch.Generator().manual_seed(0)


def parts(make):
    return {part: make(40) for part in ("train", "val", "test")}

"""

FILES = {
    "regression": (
        """
def data():
    def make(n):
        x = torch.rand(n, 3, generator=draw)
        return x, x.sum(1)
    return parts(make)


class Model(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x)[:, 0]


def loss(model, x, y):
    return F.mse_loss(model(x), y)


def scores(model, x, y):
    return {"mae": (model(x) - y).abs()}


lowest = "mae"
""",
        {"loss", "mae"},
    ),
    "labels": (
        """
def data():
    def make(n):
        x = torch.rand(n, 5, generator=draw)
        return x, x > 0.5
    return parts(make)


class Model(nn.Linear):
    def __init__(self):
        super().__init__(5, 5)


def loss(model, x, y):
    return F.binary_cross_entropy_with_logits(model(x), y.float())


def scores(model, x, y):
    right = ((model(x) > 0) == y).float()
    return {"all": right.prod(1), "each": right.mean(1)}


best = "each"
""",
        {"loss", "all", "each"},
    ),
    "masks": (
        """
def data():
    def make(n):
        x = torch.rand(n, 1, 8, 8, generator=draw)
        return x, (x[:, 0] > 0.5).long(), (x[:, 0] > 0.1)  # pixels, classes, and which of them count
    return parts(make)


class Model(nn.Conv2d):
    def __init__(self, side: int = 3):
        super().__init__(1, 2, side, padding=side // 2)


def loss(model, x, y, counted):
    each = F.cross_entropy(model(x), y, reduction="none")
    return (each * counted).sum() / counted.sum()


def scores(model, x, y, counted):
    right = (model(x).argmax(1) == y) & counted
    return {"pixels": right.sum((1, 2)) / counted.sum((1, 2))}


best = "pixels"
""",
        {"loss", "pixels"},
    ),
    "text": (
        """
def data(words: int = 6):
    def make(n):
        ids = torch.randint(1, 9, (n, words), generator=draw)
        lengths = torch.randint(2, words + 1, (n,), generator=draw)
        return ids * (torch.arange(words) < lengths[:, None]), lengths % 2
    return parts(make)


class Model(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
        self.embed = nn.Embedding(9, width, padding_idx=0)
        self.read = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        return self.head(self.read(self.embed(ids))[0][:, -1])


def loss(model, ids, y):
    return F.cross_entropy(model(ids), y)


def scores(model, ids, y):
    return {"top1": 100.0 * (model(ids).argmax(1) == y)}


best = "top1"
""",
        {"loss", "top1"},
    ),
}

RUN = """
import json, sys
from exp.cells.cell import Cell
from exp.options.compose import resolved, with_files
from exp.run.job import run_cell
for name in sys.argv[1:]:
    one = resolved(with_files([f"task=./{name}.py", "trainer.max_epochs=2", "trainer.threads=1"]))
    assert run_cell(one, command="") == "done", Cell.of(one).status()
    result = Cell.of(one).result()
    print(json.dumps({"name": name, "test": result["test"], "macs": result.get("macs")}))
"""


@pytest.mark.slow
def test_whatever_tensors(tmp_path: Path) -> None:
    for name, (text, _) in FILES.items():
        (tmp_path / f"{name}.py").write_text(HEAD + text)
    done = python(RUN, *FILES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    told = {one["name"]: one for one in (json.loads(line) for line in done.stdout.splitlines() if line[0] == "{")}
    assert {name: set(one["test"]) for name, one in told.items()} == {name: keys for name, (_, keys) in FILES.items()}
    assert all(one["macs"] for one in told.values())


def one_file(folder: Path, *changes: tuple[str, str]) -> None:
    text = HEAD + FILES["regression"][0]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "own.py").write_text(text)


SHORT = ("task=./own.py", "trainer.max_epochs=1", "trainer.threads=1", "trainer.accelerator=cpu")


def test_without_a_validation_part_nothing_is_warned_of(tmp_path: Path) -> None:
    one_file(tmp_path, ('("train", "val", "test")', '("train", "test")'))
    done = exp(*SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "val_dataloader" not in done.stdout + done.stderr
    (result,) = results(tmp_path / "multirun")
    assert result["best"] is None
    assert set(result["test"]) == {"loss", "mae"}


def test_a_cell_that_fails_names_the_line(tmp_path: Path) -> None:
    one_file(tmp_path, ("def loss(model, x, y):\n", "def loss(model, x, y):\n    model.gone\n"))
    line = (tmp_path / "own.py").read_text().splitlines().index("    model.gone") + 1
    said = f"AttributeError: 'Model' object has no attribute 'gone' (own.py:{line})"
    done = exp(*SHORT, cwd=tmp_path)
    assert done.returncode == 1
    assert f"failed: {said}" in done.stdout + done.stderr
    done = exp("--multirun", *SHORT, cwd=tmp_path)
    assert done.stdout.count(said) == 2  # when it fails, and at the end
    (error,) = tmp_path.glob("multirun/*/*/error.txt")
    assert error.read_text().startswith("Traceback")

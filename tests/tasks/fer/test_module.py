"""The fer task: what a cell leaves, how its loss and scores are made, exact resume of its extras."""

import json
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from exp.callbacks.checkpoint import Interrupted, Keeper
from exp.cells.metrics_file import read_metrics
from exp.data.batches import ImageBatch
from exp.options.compose import resolved
from exp.run import train as training
from exp.tasks.build import build_task
from exp.tasks.checkpoint import load_weights
from exp.tasks.fer.data.expression import ExpressionSplit
from exp.tasks.fer.module import Fer

TINY = [
    "task=fer", "model=deepcnn", "width=4", "model.head=gap", "data.train=192", "data.held=70", "batch_size=64",
    "trainer.max_epochs=3", "trainer.threads=1", "trainer.accelerator=cpu",
]  # fmt: skip
Train = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_a_cell_leaves_scores_pictures_and_a_verdict(train: Train) -> None:
    result = train(*TINY, "trainer.gradient_norms=1", "task.tta=flip", tiny=False)
    assert result["test"].keys() == {
        "top1", "macro_f1", "balanced_accuracy", "ece", "loss", "top1_flip", "macro_f1_flip",
    }  # fmt: skip
    found = result["fer"]
    assert found["fit"]["verdict"] in ("overfitted", "underfitted", "balanced")
    assert [point["epoch"] for point in found["fit"]["curve"]] == [0, 1, 2]
    assert all(point["train_top1"] is not None for point in found["fit"]["curve"])
    assert found["fit"]["gap"] == pytest.approx(found["train_top1"] - result["best"]["value"])
    assert sum(map(sum, result["confusion"])) == 70
    hits = sum(row[place] for place, row in enumerate(result["confusion"]))
    assert result["test"]["top1"] == pytest.approx(100 * hits / 70)
    assert list(found["fit"]["gradients"]["layers"]) == [*(f"features.{n}.conv" for n in range(4)), "head.3"]
    assert {"confusion.png", "curves.png", "mistakes.png", "confident.png"} <= {
        path.name for path in result["path"].iterdir()
    }
    assert all(cv2.imread(str(path)) is not None for path in result["path"].glob("*.png"))


def test_training_accuracy_as_seen_is_a_line_of_each_epoch(train: Train) -> None:
    result = train(*TINY, tiny=False)
    lines = [line for line in read_metrics(result["path"] / "metrics.jsonl") if line["split"] == "train"]
    assert len(lines) == 3
    assert all(0 < line["top1"] < 100 and line["top1"] * 192 / 100 == pytest.approx(round(line["top1"] * 1.92))
               for line in lines)  # fmt: skip


def test_train_accuracy_of_the_result_is_that_of_the_tested_weights(train: Train) -> None:
    result = train(*TINY, tiny=False)
    task = build_task(resolved(TINY).config).eval()
    load_weights(task, str(result["path"] / "best.ckpt"))
    part = task.source.load()["train"]
    with torch.inference_mode():
        logits = task(torch.from_numpy(part.images).float() / 255 / 0.5 - 1)
    assert result["fer"]["train_top1"] == pytest.approx(100 * (logits.argmax(1).numpy() == part.labels).mean())


def test_other_sets_of_images_are_served_and_a_checkpoint_is_tested_without_training(train: Train) -> None:
    small = ["task=fer", "model=cnn", "width=2", "data=digits", "trainer.threads=1", "trainer.accelerator=cpu"]
    result = train(*small, "trainer.max_epochs=1", tiny=False)
    assert result["class_names"] == [str(digit) for digit in range(10)]
    assert "top1_unique" not in result["test"]
    tested = train(*small, "trainer.max_epochs=0", f"ckpt={result['path']}/best.ckpt", tiny=False)
    assert tested["test"] == result["test"]
    assert tested["fer"]["fit"]["verdict"] == "unknown"
    assert tested["fer"]["fit"]["curve"] == []


class Voted:
    """A reader whose faces have votes and copies."""

    num_classes = 8
    shape = (1, 48, 48)
    class_names = tuple("abcdefgh")

    def load(self) -> dict[str, ExpressionSplit]:
        random = np.random.RandomState(0)
        parts = {}
        for name, size in (("train", 24), ("val", 16), ("test", 16)):
            votes = random.dirichlet(np.ones(8), size).astype(np.float32)
            images = random.randint(0, 256, (size, 1, 48, 48)).astype(np.uint8)
            copies = (np.arange(size) % 4 == 0).astype(np.uint8) * (name != "train")
            parts[name] = ExpressionSplit(images, votes.argmax(1), copies.astype(np.uint8), votes)
        return parts


def task_of(*overrides: str) -> Fer:
    base = [word for word in TINY if not word.startswith(("data.", "batch_size"))]
    config = resolved([*base, "data=fer2013", "data.labels=ferplus", "batch_size=8", *overrides]).config
    torch.manual_seed(0)
    return Fer(config, Voted())


def batch_of(task: Fer, split: str) -> ImageBatch:
    loader = task.loader(split, device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    return next(iter(loader))


@pytest.mark.parametrize("target", ["majority", "votes"])
def test_the_loss_is_the_cross_entropy_against_class_or_votes(target: str) -> None:
    task = task_of(f"data.target={target}", "label_smoothing=0.1").eval()
    batch = batch_of(task, "train")
    part = task.splits["train"]
    assert isinstance(part, ExpressionSplit)
    assert part.votes is not None
    rows = batch.rows.numpy()
    wanted = torch.from_numpy(part.votes[rows] if target == "votes" else part.labels[rows])
    expected = F.cross_entropy(task(batch.images), wanted, label_smoothing=0.1)
    assert torch.allclose(task.loss(batch)[0], expected)


@pytest.mark.parametrize(("kind", "power"), [("sqrt", 0.5), ("inverse", 1.0)])
def test_class_weights_follow_the_shares_and_average_to_one(kind: str, power: float) -> None:
    task = task_of(f"task.class_weights={kind}").eval()
    counts = np.bincount(task.splits["train"].labels, minlength=8)
    weights = task.class_weights(torch.device("cpu")).double().numpy()
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    there = counts > 0
    assert np.allclose(weights[there] * counts[there] ** power, weights[there][0] * counts[there][0] ** power)
    batch = batch_of(task, "train")
    labels = batch.labels
    losses = F.cross_entropy(task(batch.images), labels, reduction="none")
    assert torch.allclose(task.loss(batch)[0], (losses * torch.from_numpy(weights)[labels].float()).mean())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_rows_of_batches_are_places_in_the_part_where_votes_and_copies_are_looked_up(split: str) -> None:
    task = task_of()
    part = task.splits[split]
    assert isinstance(part, ExpressionSplit)
    assert part.votes is not None
    known = task.known(split, torch.device("cpu"))
    assert known.votes is not None
    assert int(known.copied.sum()) == (0 if split == "train" else 4)
    loader = task.loader(split, device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    seen = []
    for batch in loader:
        rows = batch.rows.numpy()
        assert np.array_equal(batch.labels.numpy(), part.labels[rows])
        assert np.array_equal(known.copied[batch.rows].numpy(), part.copies[rows] > 0)
        assert np.array_equal(known.votes[batch.rows].numpy(), part.votes[rows])
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(part)))


@pytest.mark.parametrize(("testing", "split"), [(False, "val"), (True, "test")])
def test_scores_know_the_copies_and_votes_of_the_part_that_is_evaluated(testing: bool, split: str) -> None:
    task = task_of().eval()
    task._trainer = SimpleNamespace(testing=testing)  # type: ignore[assignment]
    part = task.splits[split]
    assert isinstance(part, ExpressionSplit)
    assert part.votes is not None
    scores, loader = task.new_scores(), task.loader(split, device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    with torch.inference_mode():
        for batch in loader:
            task.score(batch, scores)
        logits = torch.cat([task(batch.images) for batch in loader])  # in the part's own order
    predicted = logits.argmax(1).numpy()
    metrics = scores.compute()
    unique = part.copies == 0
    assert metrics["top1_unique"] == pytest.approx(100 * (predicted == part.labels)[unique].mean())
    assert metrics["votes_agreement"] == pytest.approx(
        100 * part.votes[np.arange(len(part)), predicted].mean(), rel=1e-5
    )


EXTRAS = ["trainer.max_epochs=4", "trainer.ema=0.9", "trainer.patience=2", "trainer.gradient_norms=2",
          "data.flip=0.5", "data.crop=2", "optim.lr=0.02"]  # fmt: skip


def run(folder: Path, *overrides: str) -> dict[str, Any]:
    given = {word.partition("=")[0]: word for word in [*TINY, *EXTRAS, *overrides]}
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return training.run(resolved(list(given.values())).config, folder, threads=1)


def lines(folder: Path) -> list[dict[str, Any]]:
    dropped = ("time", "seconds")
    return [{k: v for k, v in line.items() if k not in dropped} for line in read_metrics(folder / "metrics.jsonl")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("whole")
    return run(folder), lines(folder)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [(0, 1), (1, 0), (1, 2), (2, 1)], ids=str)
def test_with_averages_and_early_stopping_a_stopped_run_ends_the_same(
    stop: tuple[int, int],
    uninterrupted: tuple[dict[str, Any], list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Keeper.on_train_batch_end

    def on_train_batch_end(self: Keeper, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, trainer, module, outputs, batch, batch_idx)

    monkeypatch.setattr(Keeper, "on_train_batch_end", on_train_batch_end)
    with pytest.raises(Interrupted):
        run(tmp_path)
    monkeypatch.undo()
    result = run(tmp_path)
    assert result["weights_sha256"] == uninterrupted[0]["weights_sha256"]
    assert result["fer"] == uninterrupted[0]["fer"]
    assert json.dumps(lines(tmp_path)) == json.dumps(uninterrupted[1])

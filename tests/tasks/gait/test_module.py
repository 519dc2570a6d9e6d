"""The gait task end to end on a handful of walkers: training, protocol, order contract, resume, two processes, use."""

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from exp.callbacks.checkpoint import Interrupted, Keeper
from exp.cells.metrics_file import read_metrics
from exp.commands.front import run_verb
from exp.data.source import DataError
from exp.options.compose import resolved
from exp.run import train as training
from exp.tasks.base import Diverged
from exp.tasks.build import build_task, cost
from exp.tasks.gait.data.casia_b import write_pickles
from exp.tasks.gait.metrics.casia_b import evaluate, load
from exp.tasks.gait.module import Gait, OrderError, require_order
from tests.conftest import exp, slow_but

SMALL = [
    "task=gait",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
    "task.pictures=false",
    "data.size=16",
    "data.views=2",
    "data.clip_frames=8",
    "data.frames=4",
    "data.train_subjects=4",
    "data.val_subjects=2",
    "data.test_subjects=3",
    "data.batch_subjects=3",
    "data.batch_clips=2",
    "data.steps=3",
    "model.width=2",
    "model.stem=3x3",
    "model.strides=[1,2,2,1]",
]
PARTS = ["model.bins=4", "model.embedding=4"]


def words(model: str = "baseline", *more: str) -> list[str]:
    given = [*SMALL, f"model={model}", *(PARTS if model != "reelresnet" else []), *more]
    if "lstm" in model:
        given.append("model.hidden=4")
    if model == "baseattention":
        given += ["model.dim=4", "model.depth=1", "model.heads=1", "model.mlp=4"]
    return list({word.partition("=")[0]: word for word in given}.values())


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(folder: Path, given: list[str]) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return training.run(resolved(given).config, folder, threads=1)


def task_of(*more: str, model: str = "baseline") -> Gait:
    config = resolved(words(model, *more)).config
    built = build_task(config)
    assert isinstance(built, Gait)
    return built


NETS = ["baseline", "convlstm", "partlstm", "attentionlstm", "baseattention", "reelresnet"]


@pytest.mark.parametrize("model", slow_but(NETS, "baseline", "convlstm", "reelresnet"))
def test_every_net_trains_and_is_scored_by_the_protocol(model: str, tmp_path: Path) -> None:
    result = run(tmp_path / "cell", words(model, "task.save_features=true", "trainer.max_epochs=1"))
    test = result["test"]
    assert list(test)[:4] == ["nm_r1", "bg_r1", "cl_r1", "mean_r1"]
    assert {"nm_r5", "nm_map", "nm_minp", "cross_r1", "cross_map", "cross_minp"} <= set(test)
    assert result["best"]["metrics"].keys() == {"nm_r1", "bg_r1", "cl_r1", "mean_r1"}
    arrays = load(tmp_path / "cell" / "features.npz")
    assert arrays["features"].shape == (3 * 10 * 2, *result["embedding"])
    assert evaluate(**arrays).scores() == pytest.approx(test)
    assert ("lstm_gib" in result) == ("lstm" in model)


def test_pictures_are_drawn(tmp_path: Path) -> None:
    run(tmp_path / "cell", words("baseline", "task.pictures=true", "trainer.max_epochs=1"))
    for name in ("silhouettes", "views", "search"):
        picture = cv2.imread(str(tmp_path / "cell" / f"{name}.png"))
        assert picture.std() > 10


@pytest.mark.slow
def test_the_same_cell_gives_the_same_weights_and_training_lowers_the_loss(tmp_path: Path) -> None:
    given = words("partlstm", "data.rotate=10", "data.erase=0.5", "data.steps=25")
    first, again = run(tmp_path / "a", given), run(tmp_path / "b", given)
    assert first["weights_sha256"] == again["weights_sha256"]
    losses = [line["loss"] for line in read_metrics(tmp_path / "a" / "metrics.jsonl") if line["split"] == "train"]
    assert losses[1] < 0.9 * losses[0]
    trained = [line for line in read_metrics(tmp_path / "a" / "metrics.jsonl") if line["split"] == "train"]
    assert 0 < trained[0]["nonzero"] <= 1
    assert trained[0]["distance"] > 0


class StopAt:
    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def __call__(self, keeper: Keeper, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            keeper._stop = True
        ORIGINAL(keeper, trainer, module, outputs, batch, batch_idx)


ORIGINAL = Keeper.on_train_batch_end


@pytest.mark.parametrize("stop", [(1, 0), pytest.param((0, 1), marks=pytest.mark.slow)], ids=str)
def test_stopped_anywhere_it_ends_the_same(
    stop: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = words("convlstm", "data.rotate=10", "data.erase=0.5", "order=unordered")
    whole = run(tmp_path / "whole", given)
    stopper = StopAt(*stop)
    monkeypatch.setattr(Keeper, "on_train_batch_end", lambda *args: stopper(*args))
    with pytest.raises(Interrupted):
        run(tmp_path / "cell", given)
    monkeypatch.setattr(Keeper, "on_train_batch_end", ORIGINAL)
    assert run(tmp_path / "cell", given)["weights_sha256"] == whole["weights_sha256"]


def test_shuffled_frames_are_refused_where_order_was_promised() -> None:
    task = task_of(model="partlstm")
    assert task.needs_order
    loader = task.loader("train", device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    batch = next(iter(loader))
    task.loss(batch)
    batch.ordered = False
    with pytest.raises(OrderError, match="order=unordered would allow it"):
        task.loss(batch)
    require_order(False, False, "ordered")
    require_order(True, False, "unordered")
    asked = task_of("order=unordered", model="partlstm")
    loader = asked.loader("train", device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    shuffled = next(iter(loader))
    assert not shuffled.ordered
    asked.loss(shuffled)


def test_train_and_test_order_are_two_options() -> None:
    task = task_of("test_order=unordered", model="partlstm")
    train, test = (task.loader(split, device=torch.device("cpu"), rank=0, world_size=1) for split in ("train", "test"))
    assert train is not None
    assert test is not None
    assert next(iter(train)).ordered
    assert not next(iter(test)).ordered


def test_collapsed_embeddings_stop_the_run() -> None:
    task = task_of("task.ce_weight=0")
    with torch.no_grad():
        task.model.head.fc.weight.mul_(1e-6)  # type: ignore[union-attr]
    loader = task.loader("train", device=torch.device("cpu"), rank=0, world_size=1)
    assert loader is not None
    for batch in loader:
        task.loss(batch)
    with pytest.raises(Diverged, match="collapsed to one point"):
        task.take_train_scores()


def test_one_loss_over_all_parts_is_another_loss() -> None:
    values = []
    for loss_per in ("part", "global"):
        task = task_of(f"loss_per={loss_per}")
        loader = task.loader("train", device=torch.device("cpu"), rank=0, world_size=1)
        assert loader is not None
        values.append(float(task.loss(next(iter(loader)))[0].detach()))
    assert values[0] != values[1]


def test_chunks_of_the_lstm_are_told_and_train_to_the_same_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = 'layout="(n c) s (h w)"'
    whole = run(tmp_path / "whole", words("convlstm", layout))
    assert capsys.readouterr().err == ""
    pieces = run(tmp_path / "pieces", words("convlstm", layout, "model.lstm_gib=1e-5"))
    assert "chunks, which give the same numbers" in capsys.readouterr().err
    assert whole["lstm_chunks"] == 1
    assert pieces["lstm_chunks"] > 1
    assert whole["lstm_gib"] == pieces["lstm_gib"]
    assert pieces["test"] == pytest.approx(whole["test"], abs=5)


@pytest.mark.parametrize(("precision", "gib", "chunks"), [("32-true", 13.125, 4), ("16-mixed", 6.5625, 2)])
def test_the_layout_that_ran_out_of_memory_is_estimated_before_the_run(precision: str, gib: float, chunks: int) -> None:
    # 128 walks x 512 channels are as many sequences of 30 frames, with 256 numbers in and 256 of state.
    words = ["model=convlstm", 'layout="(n c) s (h w)"', "data.batch_subjects=8", "trainer.accelerator=gpu"]
    config = resolved(["task=gait", "recipe=published", *words, f"trainer.precision={precision}"]).config
    counts = cost(config)
    assert (counts["lstm_gib"], counts["lstm_chunks"]) == (gib, chunks)
    assert counts["lstm_gib"] > config.model.lstm_gib


def test_the_real_reader_serves_the_task(tmp_path: Path) -> None:
    source = resolved(words()).config.data.reader()
    for part in source.load().values():
        write_pickles(part, tmp_path / "tree")
    given = [
        *(word for word in words() if word.partition("=")[0] not in GONE),
        "data=casia_b",
        f"data.root={tmp_path}/tree",
        "data.train_subjects=6",
    ]
    result = run(tmp_path / "cell", given)
    assert result["test"]["mean_r1"] >= 0
    folder = tmp_path / "tree"
    for path in sorted(folder.iterdir())[6:]:
        for walk in ("nm-01", "nm-02", "nm-03", "nm-04"):
            (path / walk).rename(path / walk.replace("nm", "xx"))
    with pytest.raises(DataError, match="test: no gallery walk"):
        run(tmp_path / "other", given)


GONE = ("data.views", "data.clip_frames", "data.test_subjects", "data.train_subjects")


def predict(words: list[str]) -> int:
    return run_verb("predict", words)


def test_predict_finds_the_walk_itself_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = tmp_path / "cell"
    given = words("partlstm", "task.save_features=true")
    run(cell, given)
    (cell / "config.json").write_text(json.dumps({"config": resolved(given).config.plain()}))
    clips = task_of(model="partlstm").clips("test")
    assert clips is not None
    row = int(np.flatnonzero((clips.types == "nm-02") & (clips.views == "180"))[1])
    np.savez(tmp_path / "clip.npz", frames=clips.read(row))
    folder = tmp_path / "clips" / "someone"
    folder.mkdir(parents=True)
    for number, frame in enumerate(clips.read(row)):
        cv2.imwrite(str(folder / f"{number:03d}.png"), frame)
    ckpt = f"ckpt={cell / 'best.ckpt'}"
    capsys.readouterr()
    for gallery in ([], [f"gallery={cell / 'features.npz'}"], [f"gallery={tmp_path / 'clips'}"]):
        assert predict(["task=gait", ckpt, "format=json", *gallery, str(tmp_path / "clip.npz"), str(folder)]) == 0
        first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        assert first["frames"] == second["frames"] == clips.lengths[row]
        assert first["nearest"] == second["nearest"]
    assert first["nearest"][0] == {"name": "someone", "distance": pytest.approx(0, abs=1e-2)}
    assert predict(["task=gait", ckpt, str(folder)]) == 0
    assert "1. " in capsys.readouterr().out
    for bad, message in (
        ([str(tmp_path / "gone.npz")], "cannot be read"),
        ([str(tmp_path)], "no images ("),
        ([], "give clips"),
        ([str(folder), f"gallery={tmp_path / 'cell' / 'log'}"], "no clips"),
        ([str(folder), "galery=x"], "did you mean 'gallery'?"),
    ):
        assert predict(["task=gait", ckpt, *bad]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path: Path) -> None:
    """Gathered triplets, synchronised batch norm, uneven shares: the same test scores to a little float noise."""
    results = []
    for devices in (1, 2):
        given = [*words("partlstm"), f"trainer.devices={devices}", f"cells.dir={tmp_path}/{devices}"]
        done = exp(*given, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        path = next((tmp_path / str(devices)).glob("gait/*/result.json"))
        results.append((json.loads(path.read_text()), read_metrics(path.parent / "metrics.jsonl")))
    (alone, first), (pair, second) = results
    assert pair["world_size"] == 2
    assert pair["samples_seen"] == alone["samples_seen"]
    losses = [[line["loss"] for line in lines if line["split"] == "train"] for lines in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)

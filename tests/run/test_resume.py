"""A run that is stopped at any point ends with the weights of one that was not."""

import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exp.callbacks.checkpoint import Interrupted, Keeper, LockLost
from exp.cells.metrics_file import MetricsFile, read_metrics
from exp.options.compose import resolved
from exp.run import train as training
from tests.conftest import TINY, results, start

HARD = ["att=triplet", "trainer.accumulate=2", "trainer.max_epochs=3", "label_smoothing=0.1", "optim.warmup=0.5"]
"""Accumulation, a schedule that moves every step, batch norm, augmentation."""


class StopAt:
    """Raises a SIGTERM in this process after a given micro-batch of a given epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def __call__(self, keeper: Keeper, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        ORIGINAL(keeper, trainer, module, outputs, batch, batch_idx)


ORIGINAL = Keeper.on_train_batch_end


def run(folder: Path) -> dict[str, Any]:
    config = resolved([word for word in TINY if "max_epochs" not in word] + HARD).config
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return training.run(config, folder, threads=1)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("whole")
    return run(folder)["weights_sha256"], lines(folder)


def lines(folder: Path) -> list[dict[str, Any]]:
    dropped = ("time", "seconds")
    return [{k: v for k, v in line.items() if k not in dropped} for line in read_metrics(folder / "metrics.jsonl")]


@pytest.mark.parametrize(
    "stop",
    [
        (2, 3),
        *(pytest.param(stop, marks=pytest.mark.slow) for stop in ((0, 5), (0, 0), (0, 1), (1, 4), (1, 8), (1, 9))),
    ],
    ids=str,
)
def test_stopped_anywhere_it_ends_the_same(
    stop: tuple[int, int],
    uninterrupted: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Keeper, "on_train_batch_end", _method(StopAt(*stop)))
    with pytest.raises(Interrupted):
        run(tmp_path)
    monkeypatch.undo()
    result = run(tmp_path)
    assert result["weights_sha256"] == uninterrupted[0]
    assert result["samples_seen"] == 3 * 1222
    kept = lines(tmp_path)
    assert [line.pop("split") for line in kept] == [line["split"] for line in uninterrupted[1]]
    for ours, theirs in zip(kept, uninterrupted[1], strict=True):
        assert ours == pytest.approx({name: value for name, value in theirs.items() if name != "split"}, rel=1e-12)


def _method(stop: StopAt) -> Callable[..., None]:
    def on_train_batch_end(self: Keeper, *arguments: Any) -> None:
        stop(self, *arguments)

    return on_train_batch_end


@pytest.mark.slow
def test_a_second_stop_goes_on_from_the_first(
    uninterrupted: tuple[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in ((0, 3), (1, 1), (1, 5)):
        monkeypatch.setattr(Keeper, "on_train_batch_end", _method(StopAt(*stop)))
        with pytest.raises(Interrupted):
            run(tmp_path)
        monkeypatch.undo()
    assert run(tmp_path)["weights_sha256"] == uninterrupted[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_real_process_killed_and_started_again(number: signal.Signals, tmp_path: Path) -> None:
    words = [*TINY, "trainer.max_epochs=20", "trainer.save_every=0.2", "att=se"]
    process = start(*words, "cells.dir=multirun", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")), process)
    process.send_signal(number)
    code = process.wait(60)
    said = (tmp_path / "out.txt").read_text()
    assert not list(tmp_path.glob("multirun/*/*/result.json")), "it was to be stopped while it trained"
    assert code == (130 if number == signal.SIGTERM else -9), said
    if number == signal.SIGTERM:
        assert "To go on: python -m exp" in said
    again = start(*words, "cells.dir=multirun", cwd=tmp_path)
    assert again.wait(120) == 0, (tmp_path / "out.txt").read_text()
    assert "going on with" in (tmp_path / "out.txt").read_text()
    whole = start(*words, "cells.dir=whole", cwd=tmp_path)
    assert whole.wait(120) == 0
    (stopped,), (straight,) = results(tmp_path / "multirun"), results(tmp_path / "whole")
    assert stopped["weights_sha256"] == straight["weights_sha256"]
    assert stopped["test"] == straight["test"]
    assert (stopped["attempts"], straight["attempts"]) == (2, 1)


def wait_for(condition: Callable[[], object], process: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended before it got there"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing fails half way; the old checkpoint stands and the run can go on from it."""
    import lightning.pytorch as pl

    whole = run(tmp_path / "whole")["weights_sha256"]
    monkeypatch.setattr(Keeper, "on_train_batch_end", _method(StopAt(0, 3)))
    with pytest.raises(Interrupted):
        run(tmp_path / "full")
    monkeypatch.undo()
    before = (tmp_path / "full" / "last.ckpt").read_bytes()
    save = pl.Trainer.save_checkpoint

    def no_space(self: pl.Trainer, path: Path, *more: Any) -> None:
        save(self, path, *more)
        os.truncate(path, 100)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", no_space)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "full")
    monkeypatch.undo()
    assert (tmp_path / "full" / "last.ckpt").read_bytes() == before
    assert not list((tmp_path / "full").glob(".last*"))
    assert run(tmp_path / "full")["weights_sha256"] == whole


@pytest.mark.slow
def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    left = [tmp_path / name for name in (".last.ckpt.19113", ".best.ckpt.7", ".former.ckpt.8")]
    for path in left:
        path.write_bytes(b"half")
    run(tmp_path)
    assert not any(path.exists() for path in left)
    assert (tmp_path / "best.ckpt").exists()


def test_a_cell_taken_over_is_not_written_to(tmp_path: Path) -> None:
    config = resolved([*TINY, "trainer.save_every=0.001"]).config
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(LockLost):
            training.run(config, tmp_path, threads=1, held=lambda: False)
    assert not (tmp_path / "last.ckpt").exists()


@pytest.mark.slow
def test_other_data_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exp.cells.cell import Cell
    from exp.run.job import run_cell
    from exp.tasks.attention.data.digits import Digits

    one = resolved([*TINY, f"cells.dir={tmp_path}"])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        monkeypatch.setattr(Keeper, "on_train_batch_end", _method(StopAt(1, 1)))
        assert run_cell(one, command="test") == "waiting"
        monkeypatch.undo()
        monkeypatch.setattr(Digits, "check", lambda self: "0" * 16)
        assert run_cell(one, command="test") == "failed"
        assert "the data changed" in Cell.of(one).status()["error"]
        assert run_cell(one, command="test", anew=True) == "done"


def test_metrics_go_back_to_the_checkpoint(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        file.write(split="step", epoch=0, step=step, loss=float("nan") if step == 3 else 1.0)
    with open(file.path, "a") as half:
        half.write('{"split": "st')
    assert read_metrics(file.path)[-1]["loss"] is None
    file.rewind(2)
    assert [line["step"] for line in read_metrics(file.path)] == [1, 2]
    assert file.path.read_text().count("\n") == 2

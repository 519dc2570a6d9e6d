"""Options that measurement chooses, in real runs; how long a run has to be is lowered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from exp.layers.pointwise import StridedPointwise, takes_faulty_kernel
from exp.layers.resnet import BasicBlock
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.run import layout
from exp.run.ddp import ALONE
from exp.run.layout import Layout, choose
from exp.run.train import prepared
from exp.tasks.base import Task
from tests.conftest import TINY, exp, results

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Runs of any length are measured; returns the machine's cache, which is empty."""
    monkeypatch.setattr(layout, "MEASURED_FROM", 1)
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "layouts"


def steps_take(monkeypatch: pytest.MonkeyPatch, usual: float, channels_last: float, compiled: float = 1.0) -> list[Any]:
    """What each way takes, as on a machine of which nothing is known here; returns the ways that were tried."""
    tried = []

    def step(config: Any, batch: Any, device: torch.device) -> tuple[float, float]:
        options = config.trainer
        tried.append((options.channels_last, options.compile))
        return compiled if options.compile else channels_last if options.channels_last else usual, 60.0

    monkeypatch.setattr(layout, "_step", step)
    return tried


def chosen_for(folder: Path, *words: str, batches: int = 2000) -> Layout:
    task = prepared(resolved(["width=4", *words]).config, torch.device("cpu"), ALONE)
    assert isinstance(task, Task)
    loader = task.loader("train", device=torch.device("cpu"), rank=0, world_size=1)
    folder.mkdir(exist_ok=True)
    return choose(task, loader, folder, torch.device("cpu"), batches=batches, leads=True)


def test_a_short_run_is_not_measured(train: Train) -> None:
    result = train()
    assert "layout" not in result
    assert result["config"]["trainer"]["channels_last"] == "auto"


def test_a_measured_run_is_the_run_with_what_was_chosen(train: Train, measuring: Path) -> None:
    found = train()
    assert float(found["layout"]["why"].split(" takes ")[1].split(" ")[0]) > 0
    last = str(found["layout"]["channels_last"]).lower()
    given = train(f"trainer.channels_last={last}", "trainer.compile=false")
    assert "layout" not in given
    assert given["weights_sha256"] == found["weights_sha256"]
    assert given["test"] == found["test"]


@pytest.mark.parametrize(("channels_last", "wins"), [(0.5, True), (0.94, True), (0.96, False), (2.0, False)])
def test_the_faster_memory_format_is_taken(
    measuring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, channels_last: float, wins: bool
) -> None:
    steps_take(monkeypatch, 1.0, channels_last)
    found = chosen_for(tmp_path / "cell", batches=3000)
    taken = "used" if wins else "not used"
    assert found == Layout(wins, False, f"channels_last takes {channels_last:.2f} of a step's time and is {taken}")


@pytest.mark.parametrize(
    ("step", "compiled", "batches", "tried", "wins"),
    [
        (1.0, 0.5, 3599, False, False),
        (1.0, 0.5, 3600, True, True),
        (1.0, 0.94, 3600, True, True),
        (1.0, 0.96, 3600, True, False),
        (100.0, 94.0, 36, True, True),  # saves 216 s, and 60 of compiling have to be repaid three times
        (1000.0, 949.0, 4, True, True),
        (1200.0, 1139.0, 3, True, True),
        (1200.0, 1141.0, 3, True, False),
    ],
)
def test_compiling_is_tried_on_a_gpu_where_it_may_be_repaid(
    monkeypatch: pytest.MonkeyPatch, step: float, compiled: float, batches: int, tried: bool, wins: bool
) -> None:
    ways = steps_take(monkeypatch, step, step, compiled)
    task = prepared(resolved(["width=4"]).config, torch.device("cpu"), ALONE)
    assert isinstance(task, Task)
    found = layout._measured(task, None, torch.device("cuda"), batches)
    assert ((False, True) in ways) == tried
    assert found.compile == wins
    assert not layout._measured(task, None, torch.device("cpu"), batches).compile


def test_what_is_given_is_not_measured(measuring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried = steps_take(monkeypatch, 1.0, 0.5)
    assert chosen_for(tmp_path / "a", "trainer.channels_last=false", "trainer.compile=false") == Layout()
    assert tried == []
    found = chosen_for(tmp_path / "b", "trainer.channels_last=true")
    assert tried == [], "compiling is for GPUs, and nothing else is open"
    assert found.settle(resolved(["trainer.channels_last=true"]).config).trainer.channels_last is True


def test_a_cell_keeps_its_choice_and_leaves_it_to_cells_of_the_same_net(
    measuring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = steps_take(monkeypatch, 1.0, 0.5)
    first = chosen_for(tmp_path / "cell")
    assert len(tried) == 2
    monkeypatch.setattr(layout, "_measured", lambda *given: pytest.fail("measured again"))
    assert chosen_for(tmp_path / "cell") == first == chosen_for(tmp_path / "other", "seed=1", "lr=0.1")
    monkeypatch.undo()
    monkeypatch.setattr(layout, "MEASURED_FROM", 1)
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    tried = steps_take(monkeypatch, 1.0, 2.0)
    assert chosen_for(tmp_path / "cell") == first, "the cell's own"
    assert not chosen_for(tmp_path / "third", "att=se").channels_last, "another net"
    assert len(tried) == 2


def test_a_cache_that_cannot_be_written_or_read_is_as_none(
    measuring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps_take(monkeypatch, 1.0, 0.5)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert chosen_for(tmp_path / "cell").channels_last
    assert chosen_for(tmp_path / "other").channels_last


@pytest.mark.slow
def test_a_model_that_fails_in_channels_last_trains_without(
    train: Train, measuring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = BasicBlock.forward

    def forward(self: BasicBlock, x: torch.Tensor) -> torch.Tensor:
        x.view(len(x), -1)  # as many a model does, though it needs the usual order
        return plainly(self, x)

    monkeypatch.setattr(BasicBlock, "forward", forward)
    result = train("width=8")
    assert result["layout"] == {"channels_last": False, "compile": False, "why": "RuntimeError when trying further"}
    assert result["test"]["loss"] > 0


def test_a_kernel_that_writes_past_its_buffers_is_kept_clear_of() -> None:
    assert takes_faulty_kernel(nn.Sequential(nn.Conv2d(4, 8, 1, stride=2)))
    for fine in (nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, stride=2)):
        assert not takes_faulty_kernel(nn.Sequential(fine))
    assert not takes_faulty_kernel(StridedPointwise(4, 8, 2))
    assert takes_faulty_kernel(StridedPointwise(4, 8, 2), compiled=True)
    narrow = resolved(["width=4", "trainer.compile=true"]).config
    with pytest.raises(ConfigError, match="writes past its buffers in compiled code"):
        prepared(narrow, torch.device("cpu"), ALONE)


@pytest.mark.slow
def test_ranks_take_the_choice_of_the_first(tmp_path: Path) -> None:
    long = ["trainer.devices=2", "trainer.max_epochs=1000", "trainer.max_time=00:00:00:01"]
    done = exp(*TINY, *long, "cells.dir=multirun", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path / "multirun")
    assert result["world_size"] == 2
    assert f"measured: {result['layout']['why']}\nthreads: 1; memory kept from step to step, fused adam" in done.stdout


@pytest.mark.slow
def test_a_compiled_copy_can_be_measured() -> None:
    config = Layout(compile=True).settle(resolved(["width=16"]).config)
    task = prepared(resolved(["width=16"]).config, torch.device("cpu"), ALONE)
    assert isinstance(task, Task)
    batch = next(iter(task.loader("train", device=torch.device("cpu"), rank=0, world_size=1)))
    seconds, warm = layout._step(config, batch, torch.device("cpu"))
    assert 0 < seconds < warm

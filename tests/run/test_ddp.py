"""Two real processes over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from exp.cells.metrics_file import read_metrics
from exp.layers.sync_norm import CPUSyncBatchNorm, synchronised
from exp.run.ddp import Followers, Rank, Ranks, free_port
from tests.conftest import TINY, exp, results, start
from tests.run.test_resume import wait_for

NORM = """
import json, sys
import torch, torch.distributed as dist
from torch import nn
from exp.layers.sync_norm import synchronised
rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
torch.manual_seed(0)
model = synchronised(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 2)), torch.device("cpu"))
x = torch.randn(5, 2, 6, 5)
mine = x[:3] if rank == 0 else x[3:]
loss = model(mine).square().sum()
loss.backward()
grads = [p.grad for p in model.parameters()]
for g in grads: dist.all_reduce(g)
if rank == 0:
    print(json.dumps({"grads": [g.flatten().tolist() for g in grads], "mean": model[1].running_mean.tolist(),
                      "var": model[1].running_var.tolist(), "batches": int(model[1].num_batches_tracked)}))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_batch_norm_over_two_ranks_is_that_of_one() -> None:
    port = str(free_port())
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", NORM, str(rank), port], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    got = json.loads(ranks[0].communicate(timeout=120)[0])
    ranks[1].communicate(timeout=60)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 2))
    model(torch.randn(5, 2, 6, 5)).square().sum().backward()
    for ours, parameter in zip(got["grads"], model.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(torch.tensor(ours), parameter.grad.flatten(), rtol=1e-4, atol=1e-4)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(torch.tensor(got["mean"]), norm.running_mean)
    torch.testing.assert_close(torch.tensor(got["var"]), norm.running_var)
    assert got["batches"] == 1


def test_synchronised_keeps_parameters_and_keys() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2)))
    keys, weight = list(model.state_dict()), model[1][0].weight
    twin = synchronised(model, torch.device("cpu"))
    assert isinstance(twin[1][0], CPUSyncBatchNorm)
    assert list(twin.state_dict()) == keys
    assert twin[1][0].weight is weight
    x = torch.randn(2, 1, 3, 3)
    torch.testing.assert_close(twin(x), twin(x))


def test_a_wrong_rank_count_is_an_error() -> None:
    ranks = Ranks(Rank(1, 2, 0))
    ranks.set_world_size(2)
    ranks.set_global_rank(1)
    assert ranks.creates_processes_externally
    with pytest.raises(RuntimeError, match="Lightning counts 1 ranks, 2 were started"):
        ranks.set_world_size(1)
    with pytest.raises(RuntimeError, match="rank 0"):
        ranks.set_global_rank(0)


@pytest.mark.slow
def test_one_or_two_devices_give_the_same_loss_curve(tmp_path: Path) -> None:
    """Alone and in one sweep, in either order; every sample once an epoch; no variable and no process left behind."""
    words = [*TINY, "optim.name=sgd", "optim.momentum=0", "lr=1e-3", "weight_decay=0", "trainer.log_every=1", "att=se"]
    before = set(os.environ)
    for order in ("1,2", "2,1"):
        done = exp("--multirun", *words, f"trainer.devices={order}", f"cells.dir=m{order[0]}", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    runs = results(tmp_path / "m1") + results(tmp_path / "m2")
    assert sorted(run["world_size"] for run in runs) == [1, 1, 2, 2]
    assert {run["samples_seen"] for run in runs} == {2 * 1222}
    hashes = {size: {run["weights_sha256"] for run in runs if run["world_size"] == size} for size in (1, 2)}
    assert len(hashes[1]) == len(hashes[2]) == 1, "the order in the sweep decides nothing"
    losses = [
        [line["loss"] for line in read_metrics(next(tmp_path.glob(f"m1/*/*-{run['key']}")) / "metrics.jsonl")]
        for run in sorted(results(tmp_path / "m1"), key=lambda run: run["world_size"])
    ]
    torch.testing.assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=1e-3, atol=1e-4)
    assert set(os.environ) == before
    assert not processes(tmp_path)


def processes(folder: Path) -> list[str]:
    """Command lines of processes that work below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
            if "exp.run.follow" in line and str(folder) in line:
                found.append(line)
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["follower", "lead"])
def test_a_dead_rank_ends_the_others_within_seconds(victim: str, tmp_path: Path) -> None:
    process = start(*TINY, "trainer.devices=2", "trainer.max_epochs=10000", "cells.dir=multirun", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/metrics.jsonl")), process)
    follower = next(
        int(entry.parent.name)
        for entry in Path("/proc").glob("[0-9]*/cmdline")
        if b"exp.run.follow" in entry.read_bytes() and str(tmp_path).encode() in entry.read_bytes()
    )
    began = time.monotonic()
    os.kill(follower if victim == "follower" else process.pid, signal.SIGKILL)
    assert process.wait(120) != 0, "long before the half hour after which a rank gives the other up"
    while processes(tmp_path) and time.monotonic() < began + 120:
        time.sleep(0.1)
    assert not processes(tmp_path)
    if victim == "follower":
        status = json.loads(next(tmp_path.glob("multirun/*/*/status.json")).read_text())
        assert status["state"] == "failed"


@pytest.mark.slow
def test_a_stopped_run_of_two_ranks_goes_on_exactly(tmp_path: Path) -> None:
    words = [*TINY, "trainer.devices=2", "trainer.max_epochs=20", "trainer.save_every=0.2", "att=se"]
    process = start(*words, "cells.dir=multirun", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("multirun/*/*/last.ckpt")), process)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 130, (tmp_path / "out.txt").read_text()
    for folder in ("multirun", "whole"):
        assert exp(*words, f"cells.dir={folder}", cwd=tmp_path).returncode == 0
    (stopped,), (straight,) = results(tmp_path / "multirun"), results(tmp_path / "whole")
    assert stopped["weights_sha256"] == straight["weights_sha256"]
    assert stopped["samples_seen"] == straight["samples_seen"] == 20 * 1222


@pytest.mark.slow
def test_followers_are_reported_when_they_die(tmp_path: Path) -> None:
    """A follower without a cell to read ends with an error, and the lead is told before it ends too."""
    code = (
        "import sys, time, pathlib\n"
        "from exp.run.ddp import Followers\n"
        "Followers(pathlib.Path(sys.argv[1]), 2, lambda message: print(message, flush=True))\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "rank 1 of 2 ended with code 1" in done.stdout
    assert Followers.__doc__

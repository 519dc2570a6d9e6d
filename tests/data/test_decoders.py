"""Images decoded in processes beside the training: the same batches, the same weights, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from exp.callbacks.checkpoint import Interrupted, Keeper
from exp.data.augment import Augment
from exp.data.batches import Batches
from exp.data.decoders import Decoders
from exp.data.mix import Mix
from exp.data.source import DataError, Split
from exp.options.compose import resolved
from exp.run import train as training
from exp.tasks.attention.data.imagefolder import ImageFolder
from exp.tasks.images import decoding_workers
from tests.conftest import ENVIRONMENT, start
from tests.run.test_resume import StopAt, _method, wait_for

CELL = [
    *(
        "data=imagefolder",
        "data.size=16",
        "batch_size=8",
        "model=resnet18",
        "width=4",
        "trainer.max_epochs=2",
        "mixup=0.5",
    ),
    *(
        "data.resized_crop=0.3",
        "data.flip=0.5",
        "data.stored=20",
        "data.val_fraction=0",
        "trainer.threads=1",
        "trainer.accelerator=cpu",
    ),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.RandomState(0)
    for part, count in (("train", 12), ("val", 4)):
        for label in ("ant", "bee"):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                small = rng.randint(0, 256, (5, 5, 3)).astype(np.uint8)
                image = cv2.resize(small, (24 + number, 30))
                assert cv2.imwrite(str(folder / part / label / f"{number:02d}.jpg"), image)
    return folder


@pytest.fixture
def broken(root: Path, tmp_path: Path) -> Path:
    """The same set with one JPEG cut short."""
    for path in root.rglob("*.jpg"):
        copy = tmp_path / "broken" / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    bad = tmp_path / "broken" / "train" / "bee" / "07.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    return bad


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path_factory.getbasetemp() / "decoders-cache"))


def split(root: Path, decode: str = "workers") -> Split:
    return ImageFolder(root=str(root), size=16, stored=20, decode=decode, val_fraction=0).load()["train"]


def batches(part: Split, *, workers: int, **options: Any) -> Batches:
    augment = Augment(size=16, resized_crop=0.3, flip=0.5, erase=0.5)
    made = Batches(
        part,
        batch_size=7,
        shuffle=True,
        seed=3,
        device="cpu",
        augment=augment,
        workers=workers,
        mix=Mix(0.5, 0.5),
        **options,
    )
    made.set_position(1)
    return made


def children() -> list[int]:
    """Decoding processes of this process."""
    return [pid for pid, parent in decoders() if parent == os.getpid()]


def decoders() -> list[tuple[int, int]]:
    """Process and parent numbers of all that decode on this machine."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()[1:]]
    return [(int(r[0]), int(r[1])) for r in rows if "exp.data.decode_worker" in r[3] and not r[2].startswith("Z")]


def wait_until_gone(pids: list[int], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while set(pids) & {pid for pid, _ in decoders()}:
        assert time.monotonic() < deadline, "they outlived their parent"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_those_of_the_cache(root: Path, workers: int) -> None:
    cached = list(batches(split(root, "cache"), workers=0))
    streamed = list(batches(split(root), workers=workers))
    assert len(streamed) == len(cached) == 4
    for one, other in zip(cached, streamed, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert not children()


def test_ranks_share_the_batches_of_one(root: Path) -> None:
    whole = list(batches(split(root), workers=2))
    ranks = [batches(split(root), workers=1, rank=rank, world_size=2) for rank in range(2)]
    for one, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(torch.cat([share.images for share in shares]), one.images)


def test_an_epoch_is_entered_anywhere(root: Path) -> None:
    loader = batches(split(root), workers=2)
    whole = list(loader)
    for at in (1, 3, 4):
        loader.set_position(1, at)
        assert all(torch.equal(a.images, b.images) for a, b in zip(loader, whole[at:], strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named_in_one_line(broken: Path, workers: int) -> None:
    with pytest.raises(DataError) as error:
        list(batches(split(broken.parents[2]), workers=workers))
    assert str(error.value) == f"{broken}: truncated JPEG; get the file again or remove it"
    gc.collect()
    assert not children()


def test_processes_end_with_the_last_batch_and_with_a_dropped_iterator(root: Path) -> None:
    loader = batches(split(root), workers=2)
    iterator = iter(loader)
    next(iterator)
    assert len(children()) == 2
    del iterator
    assert not children()
    iterator = iter(loader)
    for _ in range(len(loader)):
        next(iterator)  # as Lightning does: nobody asks for what comes after the last
    assert not children()


def test_a_process_that_dies_is_an_error(root: Path) -> None:
    paths = sorted(root.rglob("*.jpg"))
    with Decoders(1, 20) as pool:
        target = np.zeros((len(paths), 3, 20, 20), np.uint8)
        for part in pool.begin(paths, target):
            part.result()
        assert (target.reshape(len(target), -1).max(1) > 0).all()
        os.kill(children()[0], signal.SIGKILL)
        with pytest.raises(RuntimeError, match="a decoding process ended with SIGKILL"):
            pool.begin(paths[:1], target[:1])[0].result()


def test_signals_to_the_job_are_left_to_the_parent(root: Path) -> None:
    paths = sorted(root.rglob("*.jpg"))[:1]
    target = np.zeros((1, 3, 20, 20), np.uint8)
    with Decoders(1, 20) as pool:
        pool.begin(paths, target)[0].result()  # it is up
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
            os.kill(children()[0], number)
        pool.begin(paths, target)[0].result()


def test_a_worker_needs_neither_torch_nor_lightning() -> None:
    code = "import exp.data.decode_worker, sys; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def test_processes_end_with_a_killed_parent(root: Path) -> None:
    code = (
        "import sys, time, numpy as np\nfrom pathlib import Path\nfrom exp.data.decoders import Decoders\n"
        "pool = Decoders(2, 20)\npool.begin([Path(sys.argv[1])], np.zeros((1, 3, 20, 20), np.uint8))[0].result()\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    path = next(root.rglob("*.jpg"))
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, env=ENVIRONMENT)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    pids = [pid for pid, above in decoders() if above == parent.pid]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_gone(pids)


def test_default_number() -> None:
    assert decoding_workers(3, torch.device("cpu"), 1) == 3
    assert decoding_workers(0, torch.device("cpu"), 1) == 0
    assert decoding_workers(None, torch.device("cpu"), 4) == 1


def run(folder: Path, root: Path, *words: str) -> dict[str, Any]:
    config = resolved([*CELL, f"data.root={root}", *words]).config
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return training.run(config, folder, threads=1)


@pytest.mark.slow
def test_a_cell_ends_with_the_same_weights_however_its_images_are_decoded(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {
        "cache": ["data.decode=cache"],
        "two": ["data.decode=workers", "data.workers=2"],
    }
    cells = {name: resolved([*CELL, f"data.root={root}", *words]) for name, words in ways.items()}
    assert len({cell.key for cell in cells.values()}) == 1
    hashes = {name: run(tmp_path / name, root, *words)["weights_sha256"] for name, words in ways.items()}
    # Stopped within an epoch and gone on without processes, it is the same still.
    monkeypatch.setattr(Keeper, "on_train_batch_end", _method(StopAt(1, 1)))
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", root, *ways["two"])
    monkeypatch.undo()
    hashes["stopped"] = run(tmp_path / "stopped", root, "data.decode=workers", "data.workers=0")["weights_sha256"]
    assert len(set(hashes.values())) == 1
    gc.collect()
    assert not children()


@pytest.mark.slow
def test_cells_of_a_sweep(root: Path, broken: Path, tmp_path: Path) -> None:
    """From the warm server: a damaged file in one line, and no process outlives a killed cell."""
    options = ["--multirun", *CELL, "data.decode=workers", "data.workers=2", "cells.dir=multirun"]
    failed = start(*options, f"data.root={broken.parents[2]}", cwd=tmp_path)
    assert failed.wait(120) == 1
    printed = (tmp_path / "out.txt").read_text()
    assert f"DataError: {broken}: truncated JPEG; get the file again or remove it" in printed
    assert "Traceback" not in printed

    sweep = start(*options, f"data.root={root}", "trainer.max_epochs=5000", cwd=tmp_path)
    children: list[tuple[int, int]] = []

    def running() -> bool:
        children[:] = [pair for pair in decoders() if pair[0] not in before]
        return len({parent for _, parent in children}) == 1 and len(children) >= 2

    before: set[int] = set()
    wait_for(running, sweep, 120)
    os.kill(children[0][1], signal.SIGKILL)
    wait_until_gone([pid for pid, _ in children])
    assert sweep.wait(60) == 1
    assert "SIGKILL" in (tmp_path / "out.txt").read_text()

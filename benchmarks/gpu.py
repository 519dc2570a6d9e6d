"""What only a GPU can show: ResNet-50 with each attention beside timm's, the loop, feeding, and small cells packed.

``make bench-gpu`` runs it, in timm's environment. ``python benchmarks/gpu.py --rehearse`` runs all of it on a CPU with
a few pictures, to see that it works; figures of a rehearsal mean nothing. Times are of the wall, after waiting for the
GPU; ways take turns.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import timm
import torch
import torch.nn.functional as F
from torch import nn

from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.triplet import Triplet
from exp.layers.options import RESNETS
from exp.layers.resnet import ResNet
from exp.options.compose import resolved
from exp.run.ddp import ALONE
from exp.run.train import prepared, run
from exp.tasks.base import Task
from exp.tasks.count import count
from exp.tasks.pretrained import load_by_name
from measure import Row, main

REHEARSED = "--rehearse" in sys.argv
BLOCKS = {"none": None, "se": SqueezeExcite, "eca": ECA, "cbam": CBAM, "ca": CoordinateAttention, "triplet": Triplet}
TIMMS = {"none": None, "se": "se", "eca": "eca", "cbam": "cbam"}
"""Which of them timm has, by its name; the others stand beside its plain network."""
LIMITS = {"none": 1.0, "se": 1.0, "eca": 1.0, "cbam": 1.0, "ca": 1.35, "triplet": 1.5}
PACKED = ["--multirun", "att=none,se,eca,ca", "seed=0,1", "width=16", "trainer.max_epochs=5"]


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        device: Where.
        sides: Sides of the pictures, with the batch of each.
        turns: Rounds in which all ways take turns.
        steps: Training steps of a turn.
    """

    device: torch.device
    sides: dict[int, int]
    turns: int
    steps: int


SCALE = (
    Scale(torch.device("cpu"), {32: 2}, 1, 1) if REHEARSED else Scale(torch.device("cuda"), {32: 512, 224: 256}, 5, 20)
)


def now() -> float:
    """Seconds, once the GPU has done all it was asked for."""
    if SCALE.device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic()


def in_turn(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Returns the median seconds of a step of each way; the first turn, in which compilers work, does not count."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(SCALE.turns + 1):
        for name, way in ways.items():
            began = now()
            for _ in range(SCALE.steps):
                way()
            if turn:
                spent[name].append((now() - began) / SCALE.steps)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def step_of(model: nn.Module, side: int, *, compiled: bool) -> Callable[[], None]:
    """Returns a training step in bf16 and channels_last with a fused optimizer."""
    model = model.to(SCALE.device, memory_format=torch.channels_last).train()
    if compiled:
        model.compile(dynamic=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    images = torch.randn(SCALE.sides[side], 3, side, side, device=SCALE.device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(len(images), dtype=torch.long, device=SCALE.device)

    def step() -> None:
        with torch.autocast(SCALE.device.type, torch.bfloat16):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def ours(att: str) -> ResNet:
    """ResNet-50 with an attention block."""
    block: Any = BLOCKS[att]
    return ResNet(RESNETS["resnet50"](stem="imagenet"), num_classes=1000, **({"att": block} if block else {}))


def theirs(att: str) -> nn.Module:
    """timm's, with its own form of the block where it has one."""
    layer = TIMMS.get(att)
    model: nn.Module = timm.create_model("resnet50", **({"block_args": {"attn_layer": layer}} if layer else {}))
    return model


def same_network() -> bool:
    """Returns whether our ResNet-50 with timm's weights answers as timm's does."""
    one, other = ours("none").eval(), theirs("none").eval()
    load_by_name(one, other.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        return torch.allclose(one(x), other(x), rtol=1e-4, atol=1e-4)


def peak() -> float:
    """Operations a second of a large convolution in bf16, which no network exceeds by much."""
    size = 32 if REHEARSED else 256
    conv = nn.Conv2d(size, size, 3, padding=1, bias=False).to(SCALE.device, memory_format=torch.channels_last)
    x = torch.randn(8 if REHEARSED else 128, size, 28, 28, device=SCALE.device).contiguous(
        memory_format=torch.channels_last
    )
    with torch.no_grad(), torch.autocast(SCALE.device.type, torch.bfloat16):
        seconds = in_turn({"conv": partial(conv, x)})["conv"]
    return 2 * x.numel() * size * 9 / seconds


def networks() -> Iterator[Row]:
    """ResNet-50 with each block, in turn with timm's, compiled and not."""
    same, most = same_network(), peak()
    for side, batch in SCALE.sides.items():
        operations = 6 * count(ours("none"), (1, 3, side, side)).macs * batch
        for att in BLOCKS:
            for compiled in (False, True):
                if REHEARSED and compiled and att != "none":
                    continue
                torch.compiler.reset()
                steps = {"ours": step_of(ours(att), side, compiled=compiled)}
                steps["timm"] = step_of(theirs(att), side, compiled=compiled)
                spent = in_turn(steps)
                what = f"ResNet-50, {att}, {side} px, batch {batch}, bf16{', compiled' if compiled else ''}"
                against = f"timm's with {att}" if att in TIMMS else "timm's without"
                detail = f"{batch / spent['ours']:,.0f} : {batch / spent['timm']:,.0f} images/s"
                if att == "none":
                    detail += f", {operations / spent['ours'] / most:.0%} of a convolution's peak"
                yield Row(
                    what, against, "wall time", round(spent["ours"] / spent["timm"], 3), LIMITS[att], same, detail
                )


class Steps(pl.Callback):
    """Times a cell's training steps, and counts where one waits for the GPU."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.seconds, self.waits = first, last, 0.0, 0
        self._caught: Any = None

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Starts to look."""
        if batch_idx == self.first:
            self._began = now()
            self._caught = contextlib.ExitStack()
            self._heard = self._caught.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
            if SCALE.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Ends to look."""
        if batch_idx == self.last:
            if SCALE.device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
            self._caught.close()
            self.waits = sum("called a synchronizing" in str(one.message) for one in self._heard)
            self.seconds = (now() - self._began) / (self.last - self.first + 1)


def loop() -> Iterator[Row]:
    """A cell's training steps against the bare loop over the same batches, and its waits for the GPU."""
    last = 20 if REHEARSED else 400
    words = ["task=fer", "recipe=sound", "data=faces", f"data.train={64 * (last + 8)}", "data.held=70", "trainer.ema=0"]
    words += ["trainer.max_epochs=1", "trainer.channels_last=true", "trainer.compile=false", "optim.clip=0"]
    words += [f"trainer.accelerator={'cpu' if REHEARSED else 'gpu'}", "model=cnn"]
    config = resolved(words).config
    steps = Steps(4, last)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run(config, Path(folder), threads=1, views=[steps])
    task = prepared(config, SCALE.device, ALONE)
    assert isinstance(task, Task)
    task.to(SCALE.device).train()
    loader: Any = task.loader("train", device=SCALE.device, rank=0, world_size=1)
    task.steps_per_epoch = len(loader)
    optimizer = task.configure_optimizers()["optimizer"]
    loader.set_position(0)
    for number, batch in enumerate(loader):
        if number == steps.first:
            began = now()
        logits = task.model(batch.images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number == steps.last:
            bare = (now() - began) / (steps.last - steps.first + 1)
            break
    allowed = (steps.last - steps.first + 1) // 16 + 2  # the losses are looked at in groups of sixteen
    detail = f"{1000 * steps.seconds:.2f} : {1000 * bare:.2f} ms, {steps.waits} waits for the GPU in {last - 3} steps"
    equal = steps.waits <= allowed
    yield Row(
        "a step of net 1 of faces", "a bare loop", "wall time", round(steps.seconds / bare, 3), 1.3, equal, detail
    )


def packed() -> Iterator[Row]:
    """Eight small cells at once on one device against one after the other."""
    spent, hashes = {}, {}
    for jobs in (1, 2 if REHEARSED else 8):
        with tempfile.TemporaryDirectory() as folder:
            words = [*PACKED, f"sweep.jobs={jobs}", f"trainer.accelerator={'cpu' if REHEARSED else 'gpu'}"]
            words += ["trainer.threads=1", "trainer.max_epochs=1"] if REHEARSED else ["data=digits"]
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "exp", *words], cwd=folder, capture_output=True, check=False)
            spent[jobs] = time.monotonic() - began
            hashes[jobs] = len(list(Path(folder).glob("multirun/*/*/result.json")))
            if done.returncode:
                print(done.stdout.decode(), done.stderr.decode(), file=sys.stderr)
    (one, alone), (many, together) = spent.items()
    detail = f"{together:.1f} : {alone:.1f} s"
    yield Row(f"8 small cells, {many} at a time", f"{one} at a time", "wall time", round(together / alone, 3), 0.33,
              set(hashes.values()) == {8}, detail)  # fmt: skip


def ranks() -> Iterator[Row]:
    """A cell on all GPUs over NCCL against one of them, the batch the same a GPU; left out where there is one."""
    count = 2 if REHEARSED else torch.cuda.device_count()
    if count < 2:
        return
    rates = []
    for devices in (1, count):
        with tempfile.TemporaryDirectory() as folder:
            words = [f"trainer.devices={devices}", f"batch_size={64 * devices}", "width=4" if REHEARSED else "width=64"]
            words += ["model=resnet18", "trainer.max_epochs=2", f"trainer.accelerator={'cpu' if REHEARSED else 'gpu'}"]
            done = subprocess.run([sys.executable, "-m", "exp", *words], cwd=folder, capture_output=True, check=False)
            (path,) = Path(folder).glob("multirun/*/*/result.json")
            result = json.loads(path.read_text())
            assert done.returncode == 0
            rates.append(result["samples_seen"] / result["train_seconds"])
    detail = f"{rates[1]:,.0f} : {rates[0]:,.0f} samples/s"
    yield Row(f"a sample on {count} devices", "on one", "wall time", round(rates[0] / rates[1], 3),
              round(1.25 / count, 3), True, detail)  # fmt: skip


def rows() -> Iterator[Row]:
    """Measures."""
    os.environ.setdefault("EXP_CACHE", tempfile.mkdtemp())
    for way in (networks, loop, packed, ranks):
        yield from way()


if __name__ == "__main__":
    if not REHEARSED and not torch.cuda.is_available():
        sys.exit("no GPU is visible here; python benchmarks/gpu.py --rehearse runs all of it on a CPU")
    sys.argv = [word for word in sys.argv if word != "--rehearse"]
    main(rows, __doc__)

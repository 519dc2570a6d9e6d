"""Trainer options whose best value depends on the machine, chosen by measurement at a cell's first start.

Memory format and compilation change what a step takes, and its result by rounding alone. Where they are ``auto``, a run
that is long enough to repay it takes some steps each way on copies of its model. The choice lies in the cell
(``layout.json``), which keeps it to its end, and in the machine's cache, so that a net is measured once.
"""

import hashlib
import json
import time
import warnings
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exp.cells.cell import AUTO, LAST
from exp.cells.files import read_json, write_json
from exp.data.cache import cache_folder
from exp.layers.pointwise import takes_faulty_kernel
from exp.options.config import GROUPS, Config
from exp.options.fields import distinctive
from exp.tasks.base import Task
from exp.tasks.build import build_task

MEASURED_FROM = 1000
"""Micro-batches of a run from which on a dozen of them are worth spending."""
COMPILED_FROM = 3600.0
"""Seconds of training on a GPU from which on compiling is tried, which takes up to minutes; on CPUs it did not pay."""
WARM, TIMED = 2, 5
"""Steps before those that count, and those."""
WINS = 0.95
"""Share of a step's time below which a way is faster and not only luckier."""
REPAID = 3.0
"""Times the seconds spent on compiling that it has to save."""
FILE = "layout.json"
HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""Type of mixed precision's products."""


@dataclass(frozen=True)
class Layout:
    """A choice.

    Attributes:
        channels_last: Whether images lie with their channels last.
        compile: Whether the model is compiled.
        why: What was measured, as a person reads it; empty where nothing was.
    """

    channels_last: bool = False
    compile: bool = False
    why: str = ""

    def settle(self, config: Config) -> Config:
        """Returns options in which nothing is ``auto`` any more; what is given stays."""
        open_ = {name: getattr(self, name) for name in OPEN if getattr(config.trainer, name) == AUTO}
        return replace(config, trainer=config.trainer.replaced(**open_))


OPEN = ("channels_last", "compile")
"""The options that may be ``auto``."""


def choose(task: Task, loader: Any, folder: Path, device: torch.device, *, batches: int, leads: bool) -> Layout:
    """Returns the choice for a run, by measurement where there is none yet.

    Args:
        task: The task as it would be trained otherwise; it is left as it is.
        loader: Its training batches.
        folder: The cell's directory.
        device: Where it is trained.
        batches: Micro-batches that the whole run trains on.
        leads: Whether this is rank 0, which chooses; the others wait for its choice.
    """
    options = task.config.trainer
    open_ = any(getattr(options, name) == AUTO for name in OPEN)
    if not open_ or batches < MEASURED_FROM or options.precision in ("64-true", "bf16-true"):
        return Layout()
    if (folder / LAST).exists() and not (folder / FILE).exists():
        return Layout()  # begun by a version that did not measure
    while (layout := _read(folder / FILE)) is None:
        if leads:
            note = _note(task.config, device)
            layout = _read(note) or _measured(task, next(iter(loader)), device, batches)
            write_json(folder / FILE, asdict(layout))
            with suppress(OSError):  # only a shortcut
                note.parent.mkdir(parents=True, exist_ok=True)
                write_json(note, asdict(layout))
            return layout
        time.sleep(0.1)
    return layout


def lay_out(model: nn.Module, config: Config) -> None:
    """Puts a model into the memory format that the options give, and compiles it where they say so."""
    if config.trainer.channels_last is True:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.trainer.compile is True:
        model.compile(dynamic=False)


def _measured(task: Task, batch: Any, device: torch.device, batches: int) -> Layout:
    """Takes some steps each way, the usual way first."""
    options, found = task.config.trainer, Layout()
    on_gpu = device.type == "cuda"
    formats = options.channels_last == AUTO and (on_gpu or not takes_faulty_kernel(task.model))
    recorded = getattr(task.config.att, "record", False)  # which compiled code runs past
    compiles = options.compile == AUTO and on_gpu and not recorded
    why: list[str] = []
    if not (formats or compiles):
        return found
    try:
        best, _ = _step(found.settle(task.config), batch, device)
        if formats:
            other, _ = _step(replace(found, channels_last=True).settle(task.config), batch, device)
            wins = other < WINS * best
            why.append(f"channels_last takes {other / best:.2f} of a step's time and is {_taken(wins)}")
            if wins:
                found, best = replace(found, channels_last=True), other
        if compiles and best * batches >= COMPILED_FROM:
            other, spent = _step(replace(found, compile=True).settle(task.config), batch, device)
            wins = other < WINS * best and (best - other) * batches > REPAID * spent
            why.append(f"compiled it takes {other / best:.2f}, after {spent:.0f} s, and is {_taken(wins)}")
            if wins:
                found = replace(found, compile=True)
    except Exception as error:  # whatever a user's model or a compiler says: it trains the way that was found so far
        why.append(f"{type(error).__name__} when trying further")
    return replace(found, why=", ".join(why))


def _taken(wins: bool) -> str:
    return "used" if wins else "not used"


def _step(config: Config, batch: Any, device: torch.device) -> tuple[float, float]:
    """Returns the seconds of a training step of a fresh copy of the task, and those until steps were steady."""
    half = HALF.get(config.trainer.precision)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, of values that are logged without a trainer
        began, marks = time.monotonic(), []
        task: Any = build_task(config)
        task.to(device).train()
        task.steps_per_epoch = MEASURED_FROM
        lay_out(task.model, config)
        optimizer = task.configure_optimizers()["optimizer"]
        for number in range(WARM + TIMED + 1):
            marks.append(_clock(device))
            if number == WARM:
                warm = time.monotonic() - began
            with torch.autocast(device.type, half) if half else nullcontext():
                loss, _ = task.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    return min(after - before for before, after in zip(marks[WARM:], marks[WARM + 1 :], strict=False)) / threads, warm


def _clock(device: torch.device) -> float:
    """Seconds: of a GPU's work, or of all CPU threads, which other work on the machine does not lengthen."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.monotonic()


def _read(path: Path) -> Layout | None:
    known = read_json(path)
    return None if known is None else Layout(**known)


def _note(config: Config, device: torch.device) -> Path:
    """Where the machine keeps the choice for a net on its data, with the same arithmetic and number of threads."""
    parts = [[part.name, distinctive(type(part), part.plain())] for part in (getattr(config, g) for g in GROUPS)]
    how = [config.trainer.precision, config.trainer.accumulate, config.trainer.channels_last, config.trainer.compile]
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    about = json.dumps([parts, how, kind, torch.get_num_threads(), torch.__version__], sort_keys=True, default=str)
    return cache_folder() / "layouts" / f"{hashlib.sha256(about.encode()).hexdigest()[:32]}.json"

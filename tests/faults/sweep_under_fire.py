"""A small sweep whose processes are ended at random times, started again and again until all is done.

``python -m tests.faults.sweep_under_fire FOLDER KILLS SEED`` prints a JSON object with the counts. The cells run in
forked processes, as under a sweep's server, and what they are given is the cells' options alone. The first lap is left
alone: what it ends with, every later lap has to end with.
"""

import contextlib
import importlib
import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from tests.conftest import TINY

LIVES = 1.2
"""A process is signalled within so many lives of a cell: as it begins, trains, saves, tests, or as the next begins."""

CELLS = [["att=none"], ["att=se", "seed=1"], ["att=triplet", "kernel_size=3"]]
EXTRA = ["trainer.save_every=0.05", "trainer.max_epochs=2", "optim.warmup=0.5", "batch_size=64"]
EXTRA += ["trainer.limit_train_batches=4", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1"]


class Fire:
    """The sweep.

    Args:
        folder: Of the cells.
        seed: Of the random times.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        from exp.options.compose import resolved
        from exp.run import train

        del train
        words = [word for word in TINY if not word.startswith(("trainer.max_epochs", "batch_size"))] + EXTRA
        self.folder = folder
        self.cells = [resolved([*words, *cell, f"cells.dir={folder}"]) for cell in CELLS]
        self.chance = random.Random(seed)
        self.counts = dict.fromkeys(("tried", "killed", "stopped", "frozen", "twice", "half", "attempts", "laps"), 0)
        self.done: dict[str, str] = {}
        self.ended: set[str] = set()

    def start(self) -> int:
        """Starts the sweep in a process of its own and returns its id."""
        from exp.run.job import run_cell

        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            log = os.open(f"{self.folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(log, 1)
            os.dup2(log, 2)
            states = [run_cell(one, command="test") for one in self.cells]
            code = 0 if all(state == "done" for state in states) else 2
            with open(f"{self.folder}.modules", "w") as file:
                json.dump(sorted(sys.modules), file)
        except OSError:
            code = 3  # no room for as much as a lock
        finally:
            os._exit(code)

    def alone(self) -> float:
        """Lets the sweep run undisturbed and returns the life of a cell in seconds."""
        self.lap()
        self.clear()
        for name in json.loads(Path(f"{self.folder}.modules").read_text()):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)  # so that later cells begin at once, as those of a sweep's server do
        began = time.monotonic()
        self.lap()
        self.clear()
        return (time.monotonic() - began) / len(self.cells)

    def lap(self) -> None:
        """Runs what is missing, undisturbed, and notes what all cells ended with."""
        while any(self.result(one) is None for one in self.cells):
            os.waitpid(self.start(), 0)
        self.note()

    def kill(self, within: float) -> None:
        """Starts the sweep and signals it at a random time, unless it has ended by then."""
        pid, ended = self.start(), 0
        deadline = time.monotonic() + self.chance.uniform(0.0, within)
        while time.monotonic() < deadline and not ended:
            ended = os.waitpid(pid, os.WNOHANG)[0]
            self.read()
            time.sleep(0.005)
        if not ended:
            self.counts["tried"] += 1
            how = self.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            os.kill(pid, how)
            if how == signal.SIGSTOP:
                self.counts["frozen"] += 1
                time.sleep(0.05)
                self.read()
                os.kill(pid, signal.SIGCONT)
                how = signal.SIGTERM
                os.kill(pid, how)
            self.counts["killed" if how == signal.SIGKILL else "stopped"] += 1
            os.waitpid(pid, 0)
            self.read()
        for one in self.cells:
            if (result := self.result(one)) is not None:
                self.counts["twice"] += self.done.setdefault(one.key, json.dumps(result)) != json.dumps(result)
        if len(self.done) == len(self.cells):
            self.note()
            self.clear()

    def read(self) -> None:
        """Reads what others read meanwhile, which is never half a file."""
        from exp.cells.cell import Cell
        from exp.cells.files import read_json

        for one in self.cells:
            for name in ("result.json", "config.json", "status.json"):
                path = Cell.of(one).path / name
                if path.exists() and read_json(path) is None and path.exists():
                    self.counts["half"] += 1

    def result(self, one: Any) -> dict[str, Any] | None:
        """Returns a cell's result."""
        from exp.cells.cell import Cell

        return Cell.of(one).result()

    def note(self) -> None:
        """Notes weights and attempts of the cells, which are all done."""
        self.counts["laps"] += 1
        for one in self.cells:
            result = self.result(one)
            assert result is not None
            self.counts["attempts"] += result["attempts"]
            scores = json.dumps(result["test"])
            self.ended.add(f"{one.key} {result['weights_sha256']} {result['samples_seen']} {scores}")

    def clear(self) -> None:
        """Lets the sweep start from nothing."""
        from exp.cells.cell import Cell

        for one in self.cells:
            cell = Cell.of(one)
            lock = cell.open()
            cell.clear()
            lock.release()
        self.done = {}


def main(folder: Path, kills: int, seed: int) -> None:
    warnings.simplefilter("default")
    os.umask(0o027)
    folder.mkdir(parents=True)
    fire = Fire(folder, seed)
    life = fire.alone()
    while fire.counts["tried"] < kills:
        fire.kill(LIVES * life)
    fire.lap()
    modes = sorted({oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()})
    print(json.dumps(fire.counts | {"cells": len(fire.cells), "ended": sorted(fire.ended), "modes": modes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

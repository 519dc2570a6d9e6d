"""A small sweep whose processes are ended at random times, started again and again until all is done.

``python -m tests.faults.sweep_under_fire FOLDER KILLS SEED`` prints a JSON object with the counts. The cells run in
forked processes, as under a sweep's server, and what they are given is the cells' options alone.
"""

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

from tests.conftest import TINY

LONGEST = 2.5
"""Seconds after which a process has been signalled."""

CELLS = [["att=none"], ["att=se", "seed=1"], ["att=triplet", "kernel_size=3"]]
EXTRA = ["trainer.save_every=0.05", "trainer.max_epochs=6", "optim.warmup=0.5"]


def main(folder: Path, kills: int, seed: int) -> None:
    from exp.cells.cell import Cell
    from exp.cells.files import read_json
    from exp.options.compose import resolved
    from exp.run import train
    from exp.run.job import run_cell

    del train
    warnings.simplefilter("default")
    os.umask(0o027)
    words = [word for word in TINY if "max_epochs" not in word] + EXTRA
    cells = [resolved([*words, *cell, f"cells.dir={folder}"]) for cell in CELLS]

    def start() -> int:
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(log, 1)
            os.dup2(log, 2)
            states = [run_cell(one, command="test") for one in cells]
            code = 0 if all(state == "done" for state in states) else 2
        finally:
            os._exit(code)

    chance = random.Random(seed)
    counts = {"tried": 0, "killed": 0, "stopped": 0, "frozen": 0, "twice": 0, "half": 0, "attempts": 0}
    done: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    while counts["tried"] < kills:
        pid = start()
        deadline = time.monotonic() + chance.uniform(0.0, LONGEST)
        ended = 0
        while time.monotonic() < deadline and not ended:
            ended = os.waitpid(pid, os.WNOHANG)[0]
            for one in cells:  # what others read meanwhile is never half a file
                for name in ("result.json", "config.json", "status.json"):
                    path = Cell.of(one).path / name
                    if path.exists() and read_json(path) is None and path.exists():
                        counts["half"] += 1
            time.sleep(0.01)
        if not ended:
            counts["tried"] += 1
            how = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            os.kill(pid, how)
            if how == signal.SIGSTOP:
                counts["frozen"] += 1
                time.sleep(0.1)
                os.kill(pid, signal.SIGCONT)
                how = signal.SIGTERM
                os.kill(pid, how)
            counts["killed" if how == signal.SIGKILL else "stopped"] += 1
            os.waitpid(pid, 0)
        for one in cells:
            result = Cell.of(one).result()
            if result is not None:
                counts["twice"] += done.setdefault(one.key, json.dumps(result)) != json.dumps(result)
        if len(done) == len(cells):  # all done: the rest of the kills falls on the sweep from the start
            keep(counts, cells, done)
            for one in cells:
                lock = Cell.of(one).open()
                Cell.of(one).clear()
                lock.release()
            done = {}
    while len([one for one in cells if Cell.of(one).result()]) < len(cells):
        os.waitpid(start(), 0)
    keep(counts, cells, {})
    print(json.dumps(counts | {"modes": modes(folder), "weights": sorted(HASHES)}))


HASHES: set[str] = set()


def keep(counts: dict, cells: list, done: dict) -> None:
    """Notes weights and attempts of the cells that are done."""
    from exp.cells.cell import Cell

    for one in cells:
        result = Cell.of(one).result()
        counts["attempts"] += result["attempts"]
        HASHES.add(f"{one.key} {result['weights_sha256']} {result['samples_seen']} {len(result['test'])}")


def modes(folder: Path) -> list[str]:
    """Permissions of the cells' files."""
    return sorted({oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

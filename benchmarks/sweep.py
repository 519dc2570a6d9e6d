"""The same 12 tiny cells four ways, one after the other: 12 commands, Hydra's basic and joblib launchers, and ours.

``python benchmarks/sweep.py [OVERRIDE ...]`` prints wall and CPU time of each and their ratios, all of one run. CPU
time counts every process that was started, orphans too. Needs hydra-joblib-launcher: ``make bench-sweep``. Goals:
ours is not slower than joblib, and takes half the CPU time of separate commands or less. The weights of all cells have
to be the same whoever ran them; otherwise the comparison is void and the exit code 1.
"""

import argparse
import ctypes
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ATTENTIONS = ("none", "se", "eca", "ca")
TINY = ["width=4", "batch_size=256", "trainer.max_epochs=2", "trainer.threads=1", "trainer.accelerator=cpu"]
STOCK = ["--multirun", "hydra/sweeper=basic"]


def engines(seeds: int) -> dict[str, list[list[str]]]:
    """Command lines of each way, run in turn, over four attention blocks and a number of seeds."""
    grid = [f"att={','.join(ATTENTIONS)}", f"seed={','.join(map(str, range(seeds)))}"]
    cells = [[f"att={att}", f"seed={seed}"] for att, seed in itertools.product(ATTENTIONS, range(seeds))]
    return {
        "commands": cells,
        "hydra basic": [[*STOCK, "hydra/launcher=basic", *grid]],
        "hydra joblib, 2 jobs": [[*STOCK, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *grid]],
        "exp, 2 jobs": [["--multirun", "sweep.jobs=2", *grid]],
    }


def measure(lines: list[list[str]], overrides: list[str], folder: Path) -> tuple[float, float]:
    """Runs command lines in turn.

    Returns:
        Wall and CPU seconds, those of all descendants included.

    Raises:
        RuntimeError: A command failed.
    """
    before, began = _cpu(), time.monotonic()
    for line in lines:
        command = [sys.executable, "-m", "exp", *line, *TINY, *overrides, f"cells.dir={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    wall = time.monotonic() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return wall, _cpu() - before


def weights(folder: Path) -> dict[str, str]:
    """Hash of the final weights by cell."""
    runs = [json.loads(path.read_text()) for path in folder.glob("*/*/result.json")]
    return {run["key"]: run["weights_sha256"] for run in runs}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("overrides", nargs="*", help="for all cells, such as trainer.max_epochs=5")
    parser.add_argument("--seeds", type=int, default=3, help="cells a block of attention; 3 make the 12")
    given = parser.parse_args()
    ways, count = engines(given.seeds), len(ATTENTIONS) * given.seeds
    # Orphans are ours to wait for, and so their CPU time is counted.
    ctypes.CDLL(None).prctl(36, 1)
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores", flush=True)
    measured, hashes = {}, {}
    with tempfile.TemporaryDirectory() as root:
        for number, (name, lines) in enumerate(ways.items()):
            folder = Path(root) / str(number)
            measured[name] = measure(lines, given.overrides, folder)
            hashes[name] = weights(folder)
            wall, cpu = measured[name]
            print(f"{name:21} {wall:7.1f} s wall {cpu:7.1f} s CPU", flush=True)
    same = all(len(found) == count and found == hashes["exp, 2 jobs"] for found in hashes.values())
    print(f"the same {count} weights: {'yes' if same else 'NO'}")
    ours = measured["exp, 2 jobs"]
    for name in list(ways)[:-1]:
        wall, cpu = (mine / theirs for mine, theirs in zip(ours, measured[name], strict=True))
        print(f"ours / {name:21} {wall:5.2f} wall {cpu:5.2f} CPU")
    joblib, commands = measured["hydra joblib, 2 jobs"], measured["commands"]
    print(f"not slower than joblib: {'yes' if ours[0] <= joblib[0] else 'NO'}")
    print(f"half the CPU time of commands or less: {'yes' if ours[1] <= commands[1] / 2 else 'NO'}")
    sys.exit(0 if same else 1)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

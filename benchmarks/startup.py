"""Commands that need no torch against the same with torch and lightning imported first, and against Hydra's import.

``python benchmarks/startup.py`` starts each as a process of its own, in an empty folder, and counts its CPU time and
its peak memory. What is printed has to be the same.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, main

COMMANDS = {"exp --help": ["--help"], "exp --cfg job": ["--cfg", "job"], "an error": ["att=tripletx"]}
HEAVY = "import torch, lightning.pytorch, runpy, sys; sys.argv[0] = 'exp'; runpy.run_module('exp', run_name='__main__')"
WAITING = """
import os, sys
child = os.fork()
if not child:
    os.execv(sys.argv[2], sys.argv[2:])
_, _, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=file)
"""
COMPOSED = """
import time, hydra
from exp.options.compose import composed, register
register()
began = time.process_time()
composed(["att=ca", "seed=1"])
print(time.process_time() - began)
"""


def started(command: list[str], folder: Path) -> tuple[float, bytes]:
    """Returns CPU seconds and output of a command."""
    seconds, said, _ = watched(command, folder)
    return seconds, said


def watched(command: list[str], folder: Path) -> tuple[float, bytes, int]:
    """Returns CPU seconds, output and peak resident kilobytes of a command.

    A small process starts it and waits, since a process begins with the peak of the one that it was forked from.
    """
    with (folder / "out").open("wb+") as out:
        waiting = [sys.executable, "-I", "-S", "-c", WAITING, str(folder / "used"), *command]
        subprocess.run(waiting, cwd=folder, stdout=out, stderr=subprocess.STDOUT, check=False)
        seconds, peak = (folder / "used").read_text().split()
        out.seek(0)
        return float(seconds), out.read(), int(peak)


def rows() -> Iterator[Row]:
    """Measures."""
    exp = [sys.executable, "-m", "exp"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["EXP_CACHE"] = made  # empty, as on a new machine
        hydra = statistics.median(started([sys.executable, "-c", "import hydra"], folder)[0] for _ in range(3))
        for name, words in COMMANDS.items():
            pairs = [
                (watched([*exp, *words], folder), watched([sys.executable, "-c", HEAVY, *words], folder))
                for _ in range(3)
            ]
            equal = all(ours[1] == theirs[1] for ours, theirs in pairs)
            ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
            mine, other = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
            yield Row(name, "torch first", "CPU time", round(ratio, 3), 0.111, equal, f"{mine:.2f} : {other:.2f} s")
            mine, other = (statistics.median(pair[side][2] / 1024 for pair in pairs) for side in (0, 1))
            detail = f"{mine:.0f} : {other:.0f} MB"
            yield Row(name, "torch first", "peak memory", round(mine / other, 3), 0.077, equal, detail)
        cells = [float(started([sys.executable, "-c", COMPOSED], folder)[1]) for _ in range(3)]
        one = statistics.median(cells)
        limit = round(0.04 / hydra, 3)
        detail = f"{1000 * one:.0f} : {1000 * hydra:.0f} ms"
        yield Row("composing a cell", "import hydra", "CPU time", round(one / hydra, 3), limit, True, detail)
        first, second = started([*exp, "table"], folder), started([*exp, "table"], folder)
        for name, one, limit in (("exp table, first", first, 3.33), ("exp table, again", second, 1.33)):
            detail = f"{one[0]:.2f} : {hydra:.2f} s"
            equal = first[1] == second[1]
            yield Row(name, "import hydra", "CPU time", round(one[0] / hydra, 2), limit, equal, detail)


if __name__ == "__main__":
    main(rows, __doc__)

"""Commands that need no torch against the same with torch and lightning imported first, and against Hydra's import.

``python benchmarks/startup.py`` starts each as a process of its own, in an empty folder, and counts the CPU time and
the peak memory of the process. What is printed has to be the same.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, main

COMMANDS = {"exp --help": ["--help"], "exp --cfg job": ["--cfg", "job"], "an error": ["att=tripel"]}
HEAVY = "import torch, lightning.pytorch, runpy, sys; sys.argv[0] = 'exp'; runpy.run_module('exp', run_name='__main__')"


def started(command: list[str], folder: Path) -> tuple[float, float, bytes]:
    """Returns CPU seconds, peak MB and output of a command."""
    with (folder / "out").open("wb+") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        out.seek(0)
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read()


def rows() -> Iterator[Row]:
    """Measures."""
    exp = [sys.executable, "-m", "exp"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        hydra = statistics.median(started([sys.executable, "-c", "import hydra"], folder)[0] for _ in range(3))
        for name, words in COMMANDS.items():
            pairs = [
                (started([*exp, *words], folder), started([sys.executable, "-c", HEAVY, *words], folder))
                for _ in range(3)
            ]
            equal = all(ours[2] == theirs[2] for ours, theirs in pairs)
            for place, of, limit, unit in ((0, "CPU time", 1 / 9, "s"), (1, "peak memory", 1 / 13, "MB")):
                ratio = statistics.median(ours[place] / theirs[place] for ours, theirs in pairs)
                mine, other = (statistics.median(pair[side][place] for pair in pairs) for side in (0, 1))
                detail = f"{mine:.2f} : {other:.2f} {unit}"
                yield Row(name, "torch first", of, round(ratio, 3), round(limit, 3), equal, detail)
        first, second = started([*exp, "table"], folder), started([*exp, "table"], folder)
        for name, one, limit in (("exp table, first", first, 3.33), ("exp table, again", second, 1.33)):
            detail = f"{one[0]:.2f} : {hydra:.2f} s"
            equal = first[2] == second[2]
            yield Row(name, "import hydra", "CPU time", round(one[0] / hydra, 2), limit, equal, detail)


if __name__ == "__main__":
    main(rows, __doc__)

"""Commands that need no torch against the same with torch and lightning imported first, and against Hydra's import.

``python benchmarks/startup.py`` starts each as a process of its own, in an empty folder, and counts its CPU time. What
is printed has to be the same.
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


def started(command: list[str], folder: Path) -> tuple[float, bytes]:
    """Returns CPU seconds and output of a command."""
    with (folder / "out").open("wb+") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        out.seek(0)
        return used.ru_utime + used.ru_stime, out.read()


def rows() -> Iterator[Row]:
    """Measures."""
    exp = [sys.executable, "-m", "exp"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["EXP_CACHE"] = made  # empty, as on a new machine
        hydra = statistics.median(started([sys.executable, "-c", "import hydra"], folder)[0] for _ in range(3))
        for name, words in COMMANDS.items():
            pairs = [
                (started([*exp, *words], folder), started([sys.executable, "-c", HEAVY, *words], folder))
                for _ in range(3)
            ]
            equal = all(ours[1] == theirs[1] for ours, theirs in pairs)
            ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
            mine, other = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
            yield Row(name, "torch first", "CPU time", round(ratio, 3), 0.111, equal, f"{mine:.2f} : {other:.2f} s")
        first, second = started([*exp, "table"], folder), started([*exp, "table"], folder)
        for name, one, limit in (("exp table, first", first, 3.33), ("exp table, again", second, 1.33)):
            detail = f"{one[0]:.2f} : {hydra:.2f} s"
            equal = first[1] == second[1]
            yield Row(name, "import hydra", "CPU time", round(one[0] / hydra, 2), limit, equal, detail)


if __name__ == "__main__":
    main(rows, __doc__)

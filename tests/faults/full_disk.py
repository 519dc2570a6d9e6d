"""A small sweep on disks that are full after so many bytes, again and again, each time ended with room enough.

``python -m tests.faults.full_disk FOLDER TIMES KIND`` prints a JSON object with the counts. With ``disk`` the cells lie
on a file system of a random size, which takes the right to mount one; with ``file`` no file can grow beyond one.
"""

import json
import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path

from tests.faults.sweep_under_fire import Fire

LARGEST = {"disk": 3_000_000, "file": 400_000}
"""Bytes that are nearly enough for the three cells, and for each of their files."""


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def main(folder: Path, times: int, kind: str) -> None:
    warnings.simplefilter("default")
    folder.mkdir(parents=True)
    fire = Fire(folder, 0)
    fire.alone()
    states: dict[str, int] = {}
    left: list[str] = []
    plain = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(times):
        size = fire.chance.randrange(4096, LARGEST[kind])
        if kind == "disk":
            mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, plain[1]))
        try:
            fire.counts["tried"] += 1
            code = os.waitstatus_to_exitcode(os.waitpid(fire.start(), 0)[1])
            states[str(code)] = states.get(str(code), 0) + 1
            fire.read()
            resource.setrlimit(resource.RLIMIT_FSIZE, plain)
            if kind == "disk":
                mount("-o", "remount,size=64m", str(folder))
            fire.lap()
            left += [path.name for path in folder.rglob(".*") if path.is_file()]
            fire.clear()
        finally:
            if kind == "disk":
                subprocess.run(["umount", "-l", str(folder)], check=True)
    print(
        json.dumps(
            fire.counts | {"cells": len(fire.cells), "ended": sorted(fire.ended), "states": states, "left": left}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

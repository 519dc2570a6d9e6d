"""Runs the benchmarks whose rows go into docs/performance.md, and writes them to ``benchmarks/results/<cpu>.json``.

``python benchmarks/all.py [SCRIPT ...]`` runs all of them or those named, one after the other, each in a process of its
own; rows of scripts that are not run are kept. ``python benchmarks/render.py`` then brings the document up to date.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from measure import machine

HERE = Path(__file__).parent
SCRIPTS = ("attention", "gait", "lane", "feeding", "training", "steps", "reading", "startup", "grid", "scaling")


def main() -> int:
    """Measures and writes."""
    here = machine()
    path = HERE / "results" / (re.sub(r"\W+", "-", f"{here['cpu']} {here['units'].split()[-1]}").lower() + ".json")
    rows: dict[str, list[dict[str, object]]] = json.loads(path.read_text())["rows"] if path.exists() else {}
    began, failed = time.monotonic(), False
    for script in sys.argv[1:] or SCRIPTS:
        done = subprocess.run(
            [sys.executable, str(HERE / f"{script}.py"), "--format", "json"],
            # Modules are compiled once, as at a user's.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        rows[script] = [json.loads(line) for line in done.stdout.splitlines()]
        failed |= done.returncode != 0
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**here, "rows": rows}, indent=1) + "\n")
        print(f"{script}: {len(rows[script])} rows, {time.monotonic() - began:.0f} s so far", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

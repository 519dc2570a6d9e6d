"""Cells that are ended at random times end like cells that were left alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[2]


def under_fire(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.sweep_under_fire", str(folder), str(kills), str(seed)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return counts


@pytest.mark.parametrize("kills", [pytest.param(count, marks=pytest.mark.slow) for count in (5, 200)])
def test_random_kills(kills: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = under_fire(tmp_path / "alone", 0, 0)
    counts = under_fire(tmp_path / "fire", kills, 1)
    lost = set(alone["weights"]) ^ set(counts["weights"])
    with capsys.disabled():
        print(f"\nkills: tried {counts['tried']}, survived {counts['tried'] - len(lost)}, lost {len(lost)}", end=" ")
        print({name: counts[name] for name in ("killed", "stopped", "frozen", "attempts")})
    assert counts["tried"] == kills
    assert not lost, "weights, samples seen and scores are those of cells that were left alone"
    assert counts["half"] == 0, "no file was read half-written"
    assert counts["twice"] == 0, "a done cell never ran again"
    assert counts["modes"] == ["0o640"], "files follow the umask"

"""Cells that are ended at random times end like cells that were left alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[2]

SIDE_BY_SIDE = 2
"""Sweeps at a time."""


def under_fire(folder: Path, kills: int) -> list[dict[str, Any]]:
    """Returns the counts of sweeps side by side, which share the kills."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sweep_under_fire", str(folder / str(seed)), str(share), str(seed)],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed, share in enumerate(len(range(kills)[part::SIDE_BY_SIDE]) for part in range(SIDE_BY_SIDE))
    ]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    for _, errors, code in ends:
        assert code == 0, errors[-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _, _ in ends]


@pytest.mark.parametrize("kills", [pytest.param(count, marks=pytest.mark.slow) for count in (6, 200)])
def test_random_kills(kills: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fires = under_fire(tmp_path, kills)
    total = {name: sum(fire[name] for fire in fires) for name, value in fires[0].items() if isinstance(value, int)}
    lost = len({end for fire in fires for end in fire["ended"]}) - fires[0]["cells"]
    with capsys.disabled():
        print(f"\nkills: tried {total['tried']}, survived {total['tried'] - lost}, lost {lost}", end=" ")
        print({name: total[name] for name in ("killed", "stopped", "frozen", "attempts", "laps")})
    assert total["tried"] == kills
    assert not lost, "weights, samples seen and scores are those of cells that were left alone"
    assert total["half"] == 0, "no file was read half-written"
    assert total["twice"] == 0, "a done cell never ran again"
    assert [fire["modes"] for fire in fires] == [["0o640"]] * len(fires), "files follow the umask"

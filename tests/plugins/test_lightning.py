"""Unchanged LightningModules as tasks: trained, stopped and gone on with to the same weights, told apart, refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT

EXAMPLES = Path(__file__).parents[2] / "examples" / "lightning"

TWICE = """
import json, os, signal, sys
from exp.__main__ import speed_up
from exp.options.compose import resolved
from exp.run.job import run_cell
name, folder, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = [f"task={name}", "trainer.max_epochs=3", "trainer.threads=1", "trainer.log_every=1"]
def cell(kind):
    return resolved([*options, f"cells.dir={folder}/{kind}"])
from exp.callbacks import recorder
from exp.cells.cell import Cell
recorder.REPORT_SECONDS = 0
whole = cell("whole")
assert run_cell(whole, command="") == "done", Cell.of(whole).status()
broken = cell("broken")
def stop(progress):
    if progress["epoch"] == 1 and progress["batch"] == batch and not progress["epoch_done"]:
        os.kill(os.getpid(), signal.SIGTERM)
state = run_cell(broken, command="", report=stop)
assert state == "waiting", Cell.of(broken).status()
assert run_cell(broken, command="") == "done", Cell.of(broken).status()
first, second = Cell.of(whole).result(), Cell.of(broken).result()
lines = [[{k: v for k, v in json.loads(line).items() if k not in ("time", "seconds")}
          for line in open(Cell.of(each).path / "metrics.jsonl")] for each in (whole, broken)]
print(json.dumps({"same": first["weights_sha256"] == second["weights_sha256"], "test": [first["test"], second["test"]],
    "lines": lines[0] == lines[1], "first": lines[0], "samples": [first["samples_seen"], second["samples_seen"]],
    "code": sorted(first["code"]), "best": first["best"], "tested_on": first.get("tested_on")}))
"""


@pytest.mark.parametrize(
    ("name", "batch", "metric", "samples"),
    [
        ("autoencoder", 4, "test_loss", 1800),
        ("gan", 3, "val_distance", 1536),
        ("reverse", 5, "test_acc", 1536),
        ("tabular", 4, "test_rmse", 840),
        ("shapes", 2, "test_iou", 384),
    ],
)
def test_a_module_is_trained_and_gone_on_with(name: str, batch: int, metric: str, samples: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TWICE, name, str(tmp_path), str(batch)],
        cwd=EXAMPLES,
        env=ENVIRONMENT | {"OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    got = json.loads(done.stdout.splitlines()[-1])
    assert got["same"]
    assert got["test"][0] == got["test"][1]
    assert set(got["test"][0]) == {metric}
    assert got["samples"] == [samples, samples]
    assert got["lines"], got["first"]
    assert {"studies.modules", "studies.options"} <= set(got["code"])
    assert got["tested_on"] == ("val" if name == "gan" else None)
    said = "an interrupted epoch begins anew" in done.stdout
    assert said == (name == "shapes")

"""Unchanged LightningModules as tasks: trained, stopped and gone on with to the same weights, told apart, refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import exp, python

EXAMPLES = Path(__file__).parents[2] / "examples" / "lightning"

TWICE = """
import json, os, signal, sys
from exp.callbacks import recorder
from exp.cells.cell import Cell
from exp.options.compose import resolved
from exp.run.job import run_cell
recorder.REPORT_SECONDS = 0
folder = sys.argv[1]
for name, batch in json.loads(sys.argv[2]).items():
    options = [f"task={name}", "trainer.max_epochs=2", "trainer.threads=1", "trainer.log_every=1"]
    whole, broken = (resolved([*options, f"cells.dir={folder}/{kind}"]) for kind in ("whole", "broken"))
    assert run_cell(whole, command="") == "done", Cell.of(whole).status()

    def stop(progress):
        if progress["epoch"] == 1 and progress["batch"] == batch and not progress["epoch_done"]:
            os.kill(os.getpid(), signal.SIGTERM)

    state = run_cell(broken, command="", report=stop)
    assert state == "waiting", Cell.of(broken).status()
    assert run_cell(broken, command="") == "done", Cell.of(broken).status()
    first, second = Cell.of(whole).result(), Cell.of(broken).result()
    lines = [[{k: v for k, v in json.loads(line).items() if k not in ("time", "seconds")}
              for line in open(Cell.of(each).path / "metrics.jsonl")] for each in (whole, broken)]
    print(json.dumps({"name": name, "same": first["weights_sha256"] == second["weights_sha256"],
        "test": [first["test"], second["test"]], "lines": lines,
        "samples": [first["samples_seen"], second["samples_seen"]],
        "code": sorted(first["code"]), "tested_on": first.get("tested_on")}))
"""

MODULES = {
    "autoencoder": (4, "test_loss", 1200),
    "gan": (3, "val_distance", 1024),
    "reverse": (5, "test_acc", 1024),
    "tabular": (4, "test_rmse", 560),
    "shapes": (2, "test_iou", 256),
}
"""Batch of the second epoch at which it is stopped, metric of the test, samples of two epochs."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    stops = json.dumps({name: batch for name, (batch, _, _) in MODULES.items()})
    done = python(TWICE, str(tmp_path_factory.mktemp("cells")), stops, cwd=EXAMPLES, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    results = {record["name"]: record for record in (json.loads(line) for line in lines if line.startswith("{"))}
    return results | {"said": {"lines": [line for line in lines if not line.startswith("{")]}}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_trained_and_gone_on_with_to_the_same_weights(name: str, trained: dict[str, Any]) -> None:
    _, metric, samples = MODULES[name]
    got = trained[name]
    assert got["same"]
    assert got["test"][0] == got["test"][1]
    assert set(got["test"][0]) == {metric}
    assert got["samples"] == [samples, samples]
    whole, broken = got["lines"]
    if name == "reverse":  # what Lightning averages over an epoch covers, after a stop in it, the rest of it alone
        for line in (*whole, *broken):
            line.pop("train_loss", None)
    assert whole == broken
    assert {"studies.modules", "studies.options"} <= set(got["code"])
    assert got["tested_on"] == ("val" if name == "gan" else None)


def test_a_stream_says_that_it_begins_an_epoch_anew(trained: dict[str, Any]) -> None:
    said = [line for line in trained["said"]["lines"] if "an interrupted epoch begins anew" in line]
    assert len(said) == 3  # the whole run, the one that is stopped, and its second part


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("optim.lr=0.2",), "optim.lr=0.2: nothing reads it, since studies.modules:LitAutoencoder"),
        (("optim.lr=0.1",), "optim.lr=0.1: nothing reads it"),  # the default, which is as little read
        (("trainer.ema=0.9",), "trainer.ema=0.9: nothing reads it"),
        (("att=se",), "att=se: nothing reads it"),
        (("metrics=f1",), "metrics=f1: exp does not see what studies.modules:LitAutoencoder predicts; log it there"),
        (
            ("best=f1",),
            "best=f1: what studies.modules:LitAutoencoder logs and exp chooses by is monitor and mode of Auto",
        ),
        (("hidden=0",), "hidden=0: has to be at least 1"),
        (("model=resnet18",), "model=resnet18: is for images, but task=autoencoder works on autoencoder"),
    ],
)
def test_what_nothing_would_read_is_refused(words: tuple[str, ...], said: str) -> None:
    done = exp("cost", "task=autoencoder", *words, cwd=EXAMPLES)
    assert done.returncode == 2
    assert said in done.stderr

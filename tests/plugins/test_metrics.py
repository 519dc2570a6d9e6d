"""A metric of a plug-in: over all ranks, in every record, in tables; its code decides what is stale."""

import shutil
from pathlib import Path

import pytest

from exp.cells.metrics_file import read_metrics
from tests.conftest import TINY, exp, python, results

MOONS = Path(__file__).parents[2] / "examples" / "moons.py"
OF_MOONS = ("task=./moons.py", "metrics=mean_f1", "best=mean_f1", "trainer.threads=1", "trainer.accelerator=cpu")
WORDS = ("metrics=mean_f1", "att=none", *TINY)

SCORED = """
import exp
import torch
from sklearn.metrics import f1_score
(cell,) = exp.cells("multirun")
task = cell.load()
x, y = task.source.load()["test"]
print(f1_score(y, task.model(torch.from_numpy(x)).argmax(1), average="macro"))
"""
"""Macro F1 by scikit-learn of what the tested weights answer."""


def macro_f1(confusion: list[list[int]]) -> float:
    """Returns the mean over classes of F1, from counts by label and prediction."""
    columns = [sum(row[index] for row in confusion) for index in range(len(confusion))]
    each = [2 * row[index] / max(1, sum(row) + columns[index]) for index, row in enumerate(confusion)]
    return sum(each) / len(each)


@pytest.mark.slow
def test_a_metric_of_a_plug_in(tmp_path: Path) -> None:
    assert exp("new", "metric", "mean_f1", cwd=tmp_path).returncode == 0
    for words in (("cells.dir=one",), ("cells.dir=two", "trainer=ddp", "trainer.devices=2")):
        done = exp(*WORDS, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in ("one", "two"):
        (result,) = results(tmp_path / name)
        assert result["test"]["mean_f1"] == pytest.approx(macro_f1(result["confusion"]), abs=1e-6)
        (path,) = (tmp_path / name).glob("*/*/metrics.jsonl")
        assert [line["split"] for line in read_metrics(path) if "mean_f1" in line] == ["val", "val", "test"]
    assert {"mean_f1.metric", "mean_f1.options"} <= set(result["code"])
    tested = exp(*WORDS[1:], "metrics=mean_f1", "trainer.max_epochs=0", f"ckpt={path.parent}", cwd=tmp_path)
    assert f"mean_f1 {result['test']['mean_f1']:.4g}" in tested.stdout
    table = (
        "title: F1\nbase: {task: attention, recipe: quick, metrics: mean_f1, width: 4, batch_size: 256,"
        " trainer.max_epochs: 2}\nrows: {none: {att: none}}\ncolumns: {f1: {metric: test/mean_f1}}\nseeds: [0]\n"
    )
    (tmp_path / "mine.yaml").write_text(table)
    assert "(1)" in exp("table", "mine", "cells.dir=one", cwd=tmp_path).stdout
    (tmp_path / "mine.yaml").write_text(table.replace("metrics: mean_f1, ", ""))
    assert "metrics=mean_f1 adds it" in exp("table", "mine", cwd=tmp_path).stderr
    code = tmp_path / "mean_f1" / "metric.py"
    code.write_text(f"# a comment\n{code.read_text()}")
    sweep = ("--multirun", *WORDS, "cells.dir=one")
    assert "stale" not in exp(*sweep, cwd=tmp_path).stdout
    code.write_text(code.read_text().replace("macro", "weighted"))
    assert "1 stale: changed since they ran: mean_f1.metric" in exp(*sweep, cwd=tmp_path).stdout


def test_a_plug_in_that_takes_no_part_makes_nothing_stale(tmp_path: Path) -> None:
    assert exp("new", "metric", "mean_f1", cwd=tmp_path).returncode == 0
    assert exp("att=none", *TINY, cwd=tmp_path).returncode == 0
    assert not [name for name in results(tmp_path / "multirun")[0]["code"] if name.startswith("mean_f1")]
    options = tmp_path / "mean_f1" / "options.py"
    options.write_text(options.read_text().replace('"images"', '"arrays"'))
    assert "is done; not run again" in exp("att=none", *TINY, cwd=tmp_path).stdout


@pytest.fixture
def moons(tmp_path: Path) -> Path:
    """A folder with a task that is a file, and a metric for it."""
    shutil.copy(MOONS, tmp_path / "moons.py")
    assert exp("new", "metric", "mean_f1", cwd=tmp_path).returncode == 0
    refused = exp(*OF_MOONS, cwd=tmp_path)
    assert refused.returncode == 2
    assert "mean_f1 is for images, but task=moons works on arrays" in refused.stderr
    options = tmp_path / "mean_f1" / "options.py"
    # Longer than before: Python takes a module of the same second and size for the one that it has compiled.
    options.write_text(options.read_text().replace('"images"', '"arrays"') + "\n")
    return tmp_path


@pytest.mark.slow
def test_it_judges_a_task_that_is_a_file_and_chooses_its_epoch(moons: Path) -> None:
    done = exp(*OF_MOONS, "max_epochs=3", "trainer.patience=1", "optim.lr=1e-9", cwd=moons)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = results(moons / "multirun")
    scored = python(SCORED, cwd=moons, EXP_PLUGINS="moons.py")
    assert result["test"]["mean_f1"] == pytest.approx(float(scored.stdout), abs=1e-6)
    (path,) = (moons / "multirun").glob("*/*/metrics.jsonl")
    measured = [line["mean_f1"] for line in read_metrics(path) if line["split"] == "val"]
    assert result["best"]["value"] == max(measured) == measured[0]
    assert result["epochs"] == 2  # at such a rate nothing gets better


@pytest.mark.slow
def test_ranks_judge_such_a_task_together(moons: Path) -> None:
    trained = exp(*OF_MOONS, "max_epochs=1", "cells.dir=one", cwd=moons)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    (weights,) = moons.glob("one/moons/*/best.ckpt")
    ranks = ("trainer=ddp", "trainer.devices=2", "max_epochs=0", f"ckpt={weights}", "cells.dir=two")
    tested = exp(*OF_MOONS, *ranks, cwd=moons)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    (one,), (two,) = results(moons / "one"), results(moons / "two")
    assert two["world_size"] == 2
    assert two["test"]["mean_f1"] == pytest.approx(one["test"]["mean_f1"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            "    weight: float = 1.0\n",
            "its option weight: a metric has a name of letters, digits and _, and no options",
        ),
        ("    name = 'f1+x'\n", "the name 'f1+x'"),
    ],
)
def test_a_broken_one_is_one_line(body: str, complaint: str, tmp_path: Path) -> None:
    assert exp("new", "metric", "mean_f1", cwd=tmp_path).returncode == 0
    options = tmp_path / "mean_f1" / "options.py"
    options.write_text(options.read_text() + body)
    done = exp("list", "metrics", cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

"""What the walkers are for: conditions in CASIA-B's order, and an LSTM that reads the tempo where order is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exp.options.compose import resolved
from exp.tasks.gait.data.clips import Clips
from exp.tasks.gait.metrics.casia_b import evaluate
from tests.tasks.gait.test_module import run

TEMPO = [
    "task=gait",
    "data=tempo",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "task.pictures=false",
]
CHANCE = 100 / 12
PROBE_CHANCE = 100 / 16


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def mean_silhouettes(clips: Clips) -> np.ndarray:
    return np.stack([clips.read(row).mean(0).ravel() / 255 for row in range(len(clips))])


def linear_probe(train: Clips, test: Clips) -> float:
    """Mean rank-1 of the test people by Fisher's discriminants of the training people's mean silhouettes."""
    x, y = mean_silhouettes(train), mean_silhouettes(test)
    people = train.people
    who = np.array([people.index(person) for person in train.ids.tolist()])
    centres = np.stack([x[who == k].mean(0) for k in range(len(people))])
    within = (x - centres[who]).T @ (x - centres[who]) / len(x) + 1e-3 * np.eye(x.shape[1])
    between = (centres - x.mean(0)).T @ (centres - x.mean(0)) / len(people)
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(root @ between @ root.T)
    directions = root.T @ vectors[:, -(len(people) - 1) :]
    features = ((y - x.mean(0)) @ directions)[:, :, None]
    return evaluate(features, test.ids, test.types, test.views, metric="cosine").scores()["mean_r1"]


@pytest.mark.slow
def test_tempo_is_read_by_an_ordered_lstm_and_by_nothing_else(tmp_path: Path) -> None:
    # Nothing but the choices: the recipe's numbers for the preset are what is tested.
    lstm = [*TEMPO, "model=partlstm"]
    ordered = run(tmp_path / "ordered", lstm)["test"]["mean_r1"]
    weights = [f"ckpt={tmp_path / 'ordered' / 'best.ckpt'}", "trainer.max_epochs=0"]
    shuffled = run(tmp_path / "shuffled", [*lstm, *weights, "test_order=unordered"])["test"]["mean_r1"]
    baseline = run(tmp_path / "baseline", [*TEMPO, "model=baseline"])["test"]["mean_r1"]
    assert abs(baseline - CHANCE) < 10
    assert abs(shuffled - CHANCE) < 10
    assert ordered > 30
    assert ordered > 3 * max(shuffled, baseline)


@pytest.mark.slow
def test_the_quick_baseline_ranks_the_conditions_and_beats_a_linear_probe(tmp_path: Path) -> None:
    given = ["task=gait", "model=baseline", "task.pictures=false", "trainer.threads=1", "trainer.accelerator=cpu"]
    test = run(tmp_path / "cell", given)["test"]
    parts = resolved(given).config.data.reader().load()
    assert test["nm_r1"] > test["bg_r1"] > test["cl_r1"]
    assert PROBE_CHANCE + 15 < test["mean_r1"] < 90
    assert test["mean_r1"] > linear_probe(parts["train"], parts["test"]) + 5

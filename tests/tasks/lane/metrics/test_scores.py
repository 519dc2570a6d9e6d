from typing import Any

import numpy as np
import pytest
import torch

from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.view import View
from exp.tasks.lane.metrics.scores import Evaluated, LaneScores, alarms

VIEW = View(590, 1640, 270, 64, 320)


def codec() -> LaneCodec:
    return LaneCodec(VIEW, nbins=320, steps=16, max_lanes=2)


def labels(count: int = 4) -> list[list[np.ndarray]]:
    y = np.arange(590, 280, -10, dtype=np.float32)
    return [[np.stack([np.full_like(y, 200 + 150 * n), y], 1), np.stack([900 + 150 * n + (590 - y) * 0.5, y], 1)]
            for n in range(count)]  # fmt: skip


def evaluated(coder: LaneCodec, known: list[list[np.ndarray]], written: torch.Tensor | None = None) -> Evaluated:
    coded = [coder.encode([VIEW.to_input(lane) for lane in lanes]) for lanes in known]
    ids = torch.from_numpy(np.stack([one.ids for one in coded]))
    return Evaluated(
        losses=torch.full(ids.shape, 0.5),
        counted=torch.ones(ids.shape, dtype=torch.bool),
        forced=ids,
        written=ids if written is None else written,
        ids=ids,
        x=torch.from_numpy(np.stack([one.x for one in coded])).float(),
        uniformity=[torch.tensor(0.5), torch.tensor(0.7)],
        token_mean=torch.tensor(0.1),
        token_std=torch.tensor(1.0),
    )


def scores(known: list[list[np.ndarray]], **options: Any) -> LaneScores:
    kinds = options.pop("categories", [""] * len(known))
    return LaneScores(codec(), known, kinds, blocks=2, **options)


def test_the_right_tokens_score_full_and_lower_when_swapped() -> None:
    known = labels()
    sums = scores(known, extra={"ceiling_f1_50": 100.0})
    batch = evaluated(codec(), known)
    sums.update(batch, np.arange(4))
    metrics = sums.compute()
    assert {name: metrics[name] for name in ("f1_50", "f1_75", "tf_acc", "ar_acc", "lanes", "first_mismatch")} == {
        "f1_50": 100, "f1_75": 100, "tf_acc": 1, "ar_acc": 1, "lanes": 1, "first_mismatch": 16,
    }  # fmt: skip
    assert metrics["f1_50_swapped"] == 0
    assert metrics["loss"] == pytest.approx(0.5)
    assert metrics["pixel_error"] <= 0.5
    assert metrics["pixel_error_image"] == pytest.approx(metrics["pixel_error"] * 1640 / 320)
    assert metrics["zigzag"] < 1
    assert metrics["uniformity"] == pytest.approx(0.6)
    assert metrics["selection"] == pytest.approx(metrics["mf1"] - 0.5)
    assert metrics["ceiling_f1_50"] == 100
    assert alarms(metrics) == []


def test_an_image_blind_model_scores_the_same_when_swapped() -> None:
    known = labels(1) * 4
    sums = scores(known)
    sums.update(evaluated(codec(), known), np.arange(4))
    metrics = sums.compute()
    assert metrics["f1_50_swapped"] == metrics["f1_50"] == 100
    assert any("hardly used" in alarm for alarm in alarms(metrics))


def test_noise_zigzags_and_is_far_off() -> None:
    known = labels()
    batch = evaluated(codec(), known)
    noise = torch.randint(1, 321, batch.ids.shape, generator=torch.Generator().manual_seed(0))
    sums = scores(known)
    sums.update(evaluated(codec(), known, noise), np.arange(4))
    metrics = sums.compute()
    assert metrics["zigzag"] > 50
    assert metrics["pixel_error"] > 40
    assert metrics["f1_50"] < 20
    assert metrics["first_mismatch"] < 1
    raised = " ".join(alarms(metrics | {"loss": 0.05}))
    for part in ("leans on what it is fed", "the loss leaves out", "zigzag"):
        assert part in raised


def test_batches_and_ranks_add_up() -> None:
    known = labels(6)
    batch = evaluated(codec(), known)
    whole = scores(known, categories=["normal", "cross"] * 3)
    whole.update(batch, np.arange(6))
    parts = scores(known, categories=["normal", "cross"] * 3)
    for some in (slice(0, 2), slice(2, 6)):
        fields = {
            name: value[some] if value.ndim else value
            for name, value in vars(batch).items()
            if isinstance(value, torch.Tensor)
        }
        parts.update(Evaluated(**fields, uniformity=batch.uniformity), np.arange(6)[some])
    assert parts.compute() == pytest.approx(whole.compute())
    metrics = whole.compute()
    assert metrics["f1_50_normal"] == 100
    assert metrics["fp_cross"] == 0
    other = scores(known, categories=["normal", "cross"] * 3)
    other.update(batch, np.arange(6))
    other.merge_state(whole)  # what torchmetrics does between ranks
    assert other.sums[0] == 12
    assert other.compute()["f1_50"] == metrics["f1_50"]
    other.reset()
    other.update(batch, np.arange(6))
    assert other.compute() == metrics


def test_without_images_there_are_no_metrics_and_no_alarms() -> None:
    with pytest.warns(UserWarning, match="before the ``update`` method"):  # of torchmetrics
        assert scores(labels()).compute() == {}
    assert alarms({}) == []


def test_one_image_has_no_other_to_swap_with() -> None:
    known = labels(1)
    sums = scores(known)
    sums.update(evaluated(codec(), known), np.arange(1))
    assert np.isnan(sums.compute()["f1_50_swapped"])
    assert alarms(sums.compute()) == []


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"ceiling_f1_50": 0.0}, "the tokens themselves"),
        ({"commonest_token": 0.97}, "97 % of the target tokens"),
        ({"token_std": 90.0}, "standard deviation of 90"),
        ({"grad_norm": 500.0}, "gradient norm 500"),
    ],
)
def test_alarms(metrics: dict[str, float], message: str) -> None:
    (alarm,) = alarms(metrics, clip=1.0)
    assert message in alarm

"""The verdict on a fit follows from the numbers by its rules."""

from typing import Any

import pytest

from exp.tasks.fer.fitting import diagnosis, gradient_summary


def lines(train: list[float], val: list[float], losses: list[float]) -> list[dict[str, Any]]:
    made = []
    for epoch, (seen, held, loss) in enumerate(zip(train, val, losses, strict=True)):
        made.append({"split": "step", "epoch": epoch, "step": 5 * epoch + 2, "loss": 9.0})
        made.append({"split": "val", "epoch": epoch, "step": 5 * epoch + 5, "top1": held, "loss": 1.0})
        made.append({"split": "train", "epoch": epoch, "step": 5 * epoch + 5, "top1": seen, "loss": loss})
    return made


def judge(train_top1: float, best: float, losses: list[float]) -> dict[str, Any]:
    records = lines([50.0] * len(losses), [best] * len(losses), losses)
    return diagnosis(
        records, train_top1=train_top1, best={"epoch": 0, "metrics": {"top1": best}}, monitor="top1", split="val"
    )


@pytest.mark.parametrize(
    ("train_top1", "best", "losses", "verdict"),
    [
        (97.0, 58.0, [1.0, 0.5, 0.2, 0.1], "overfitted"),  # net 2 of the source
        (60.0, 60.0, [1.2, 1.1, 1.1, 1.1], "underfitted"),  # net 3, which the source calls cured
        (75.0, 70.0, [1.2, 1.0, 0.9, 0.8], "underfitted"),  # stopped while it still learned
        (75.0, 70.0, [1.2, 1.0, 0.9, 0.899], "balanced"),
        (80.1, 70.0, [1.0, 1.0, 1.0, 1.0], "overfitted"),
        (79.9, 70.0, [1.0, 1.0, 1.0, 1.0], "balanced"),
    ],
)
def test_the_verdict_follows_the_rules(train_top1: float, best: float, losses: list[float], verdict: str) -> None:
    fit = judge(train_top1, best, losses)
    assert fit["verdict"] == verdict
    assert fit["gap"] == pytest.approx(train_top1 - best)
    assert f"{train_top1:.1f} %" in fit["why"]


def test_the_curve_pairs_training_and_validation() -> None:
    fit = diagnosis(
        lines([40, 60], [45, 52], [1.5, 1.0]),
        train_top1=70,
        best={"metrics": {"top1": 52}},
        monitor="top1",
        split="val",
    )
    assert fit["curve"][1] == {"epoch": 1, "train_top1": 60, "train_loss": 1.0, "val_top1": 52, "val_loss": 1.0}
    assert fit["epochs_to_50"] == 2


def test_fifty_percent_may_never_be_reached_and_no_epoch_chosen() -> None:
    fit = diagnosis(lines([40], [45], [1.5]), train_top1=41, best=None, monitor="top1", split="val")
    assert (fit["epochs_to_50"], fit["gap"], fit["verdict"]) == (None, None, "unknown")


def test_gradients_are_summed_up_by_their_median() -> None:
    made = [
        {"split": "gradients", "epoch": 0, "step": n, "time": 1.0, "conv": value, "fc": 2.0}
        for n, value in enumerate((1.0, 50.0, 0.5))
    ]
    assert gradient_summary(made) == {"layers": {"conv": 1.0, "fc": 2.0}, "first_over_last": 0.5}
    assert gradient_summary([{"split": "val", "epoch": 0}]) is None

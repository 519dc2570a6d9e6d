"""Whether a classifier overfits or underfits, decided by fixed rules on a run's curves.

Notebook 002 calls a net overfitted or cured by looking at a training and a validation accuracy; the rules here name
the numbers that decide.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any

OVERFIT_GAP = 10.0
"""Points of accuracy, training above validation at the chosen epoch, from which on a net is called overfitted."""
UNDERFIT_TRAIN = 70.0
"""Accuracy on the training faces below which a net that is not overfitted is called underfitted: it has not even
learned what it was shown."""
STILL_FALLING = 0.01
"""Fall of the training loss an epoch, as a share of it, over the last quarter of the epochs, from which on a net that
is not overfitted is called underfitted: it was stopped while it still learned."""


def diagnosis(
    records: Sequence[dict[str, Any]],
    *,
    train_top1: float,
    best: dict[str, Any] | None,
    monitor: str,
    split: str,
) -> dict[str, Any]:
    """Returns how a classifier fits.

    Args:
        records: The lines of metrics.jsonl.
        train_top1: Accuracy in percent on the training part of the weights of the chosen epoch, without augmentation
            and dropout.
        best: Epoch, value and metrics of the chosen epoch, None where there was none.
        monitor: The accuracy's name.
        split: The part it is validated on.

    Returns:
        ``curve`` (for each epoch: accuracies and losses of training and validation, training as it was seen),
        ``gap`` (points, training above validation at the chosen epoch; None without one), ``verdict`` (overfitted,
        underfitted, balanced or unknown), ``why``, ``epochs_to_50`` (epochs until validation reached 50 %, None if it
        never did) and ``gradients`` (see ``gradient_summary``).
    """
    train = {line["epoch"]: line for line in records if line["split"] == "train"}
    held = {line["epoch"]: line for line in records if line["split"] == split and line["epoch"] in train}
    curve = [
        {
            "epoch": epoch,
            "train_top1": train[epoch].get(monitor),
            "train_loss": train[epoch].get("loss"),
            "val_top1": held.get(epoch, {}).get(monitor),
            "val_loss": held.get(epoch, {}).get("loss"),
        }
        for epoch in sorted(train)
    ]
    reached = [point["epoch"] + 1 for point in curve if (point["val_top1"] or 0.0) >= 50.0]
    gap = None if best is None else train_top1 - best["metrics"][monitor]
    falling = _fall([point["train_loss"] for point in curve if point["train_loss"] is not None])
    verdict, why = _verdict(train_top1, gap, falling)
    return {
        "curve": curve,
        "gap": gap,
        "verdict": verdict,
        "why": why,
        "epochs_to_50": min(reached) if reached else None,
        "gradients": gradient_summary(records),
    }


def _verdict(train_top1: float, gap: float | None, falling: float | None) -> tuple[str, str]:
    """Returns the verdict and the numbers that decided it, in words."""
    if gap is None:
        return "unknown", "no epoch was chosen on held-out faces"
    beside = f"{abs(gap):.1f} points {'above' if gap >= 0 else 'below'} validation"
    measured = f"training accuracy {train_top1:.1f} %, {beside} at the chosen epoch"
    if gap > OVERFIT_GAP:
        return "overfitted", f"{measured}, more than {OVERFIT_GAP:g}"
    if train_top1 < UNDERFIT_TRAIN:
        return "underfitted", f"{measured}; under {UNDERFIT_TRAIN:g} % of what it was shown is learned"
    if falling is not None and falling > STILL_FALLING:
        falls = f"and the training loss still fell by {100 * falling:.1f} % an epoch at the end"
        return "underfitted", f"{measured}, {falls}"
    steady = f"and the training loss no longer fell by more than {100 * STILL_FALLING:g} % an epoch"
    return "balanced", f"{measured}, {steady}"


def _fall(losses: Sequence[float]) -> float | None:
    """Returns the mean fall an epoch over the last quarter, as a share; None for fewer than four epochs."""
    if len(losses) < 4:
        return None
    span = len(losses) // 4
    before, last = losses[-1 - span], losses[-1]
    return (before - last) / span / before if before > 0 else 0.0


def gradient_summary(records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Summarises the gradients' norms, by which it can be judged whether they vanish.

    Args:
        records: The lines of metrics.jsonl; those of ``trainer.gradient_norms`` are read.

    Returns:
        ``layers`` (median over the lines of gradient's norm over weight's norm, from the input on) and
        ``first_over_last`` (quotient of the first layer's and the last one's); None where nothing was measured.
    """
    lines = [line for line in records if line["split"] == "gradients"]
    names = [name for name in (lines[0] if lines else {}) if name not in ("split", "epoch", "step", "time")]
    if not names:
        return None
    layers = {name: median(line[name] for line in lines if line.get(name) is not None) for name in names}
    first, last = layers[names[0]], layers[names[-1]]
    return {"layers": layers, "first_over_last": first / last if last else None}

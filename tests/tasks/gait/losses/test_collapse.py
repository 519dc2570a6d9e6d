"""The collapse alarm rings for one point and for nothing else."""

import torch

from exp.tasks.gait.losses.collapse import CollapseAlarm
from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances

LABELS = torch.arange(4).repeat_interleave(3)


def alarm_for(scale: float) -> str | None:
    torch.manual_seed(0)
    alarm = CollapseAlarm(0.2)
    for _ in range(3):
        result = batch_all_triplet(part_distances(1 + scale * torch.randn(12, 4, 2)), LABELS, margin=0.2)
        alarm.add(result.nonzero, result.mean_distance)
    return alarm.collapsed(alarm.take())


def test_rings_for_one_point() -> None:
    complaint = alarm_for(1e-5)
    assert complaint is not None
    assert "collapsed" in complaint


def test_is_silent_for_untrained_and_trained_embeddings() -> None:
    assert alarm_for(0.05) is None
    assert alarm_for(2.0) is None


def test_forgets_after_each_epoch() -> None:
    alarm = CollapseAlarm(0.2)
    alarm.add(torch.tensor(0.5), torch.tensor(2.0))
    assert alarm.take() == {"nonzero": 0.5, "distance": 2.0}
    assert alarm.take() == {}

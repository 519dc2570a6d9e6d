"""Gradient norms: the right quotient, layer by layer, and lines where they are due."""

from typing import Any

import pytest
import torch
from torch import nn

from exp.callbacks.gradient_norms import relative_gradients
from exp.cells.metrics_file import read_metrics


def test_the_quotient_is_that_of_the_norms() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3))
    assert relative_gradients(model) == {}
    model(torch.randn(4, 1, 4, 4)).square().sum().backward()
    found = relative_gradients(model)
    assert list(found) == ["0", "3"]
    weight = model[3].weight
    assert weight.grad is not None
    assert found["3"] == pytest.approx(float(weight.grad.norm() / weight.detach().norm()), rel=1e-5)


def test_lines_come_every_so_many_steps_and_change_no_weight(train: Any) -> None:
    plain = train()
    measured = train("trainer.gradient_norms=3", anew=True)
    assert plain["key"] == measured["key"]
    assert plain["weights_sha256"] == measured["weights_sha256"]
    lines = [line for line in read_metrics(measured["path"] / "metrics.jsonl") if line["split"] == "gradients"]
    assert [line["step"] for line in lines] == [1, 4, 7, 10]
    assert all(line["conv1"] > 0 and line["fc"] > 0 for line in lines)

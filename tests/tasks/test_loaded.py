"""What ``load`` returns is called like any network, whatever kind of task it is."""

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from exp.options.errors import ConfigError
from exp.tasks.adopted import Adopted
from exp.tasks.base import Task
from exp.tasks.loaded import ready


class Silent(Task):
    """A task of a plug-in that has no forward of its own."""

    example_shapes = loader = loss = new_scores = score = None  # type: ignore[assignment]

    def __init__(self) -> None:
        pl.LightningModule.__init__(self)
        self.model = nn.Linear(3, 2)


class Own(Silent):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.model(x)


class Bare(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 2)


def adopted(module: pl.LightningModule) -> Any:
    task = object.__new__(Adopted)
    task.__dict__.update(lightning=module, config=SimpleNamespace())
    return task


def test_a_task_without_a_forward_calls_its_model() -> None:
    module, x = ready(Silent()), torch.randn(4, 3)
    assert not module.training
    torch.testing.assert_close(module(x), module.model(x))
    assert sorted(module.state_dict()) == ["model.bias", "model.weight"]
    twin = copy.deepcopy(module)
    twin.model.weight.data.zero_()
    assert not torch.equal(twin(x), module(x))  # a copy calls its own model


def test_a_forward_of_its_own_is_kept() -> None:
    module, x = ready(Own()), torch.randn(4, 3)
    torch.testing.assert_close(module(x), 2 * module.model(x))


def test_a_lightning_module_without_a_forward_says_so() -> None:
    module = ready(adopted(Bare()))
    with pytest.raises(ConfigError, match="Bare: has no forward, .*; write one, or call a part of it: net"):
        module(torch.randn(4, 3))
    assert pickle.loads(pickle.dumps(module)).net.in_features == 3

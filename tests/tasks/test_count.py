"""Counting: both conventions on networks small enough to do by hand."""

import copy

import pytest
import torch
from torch import Tensor, nn

from exp.blocks.triplet import Triplet
from exp.tasks.count import Counts, count, kept, shapes_only


def test_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 5)
    )
    counts = count(net, (1, 3, 8, 8))
    conv, linear, positions = 3 * 4 * 9 * 64, 64 * 5, 4 * 64
    assert counts.params == (3 * 4 * 9 + 4) + 8 + (64 * 5 + 5)
    assert counts.macs == conv + linear
    # biases of both layers, 2 a BatchNorm element, 1 a ReLU element, 1 an input element of the pooling
    assert counts.gflops_published * 1e9 == pytest.approx(conv + linear + positions + 5 + 2 * positions + 2 * positions)


def test_the_model_is_left_as_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    before = copy.deepcopy(net.state_dict())
    count(net, (1, 3, 8, 8))
    assert net.training
    assert all(not module._forward_hooks for module in net.modules())
    assert {p.device.type for p in net.parameters()} == {"cpu"}
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_real_model_counts_as_its_meta_twin() -> None:
    # On a CPU the gate convolutions run in a form with more multiplications; it must not be counted.
    with shapes_only():
        meta = Triplet(16)
    assert count(Triplet(16), (1, 16, 9, 7)) == count(meta, (1, 16, 9, 7))
    assert count(meta, (1, 16, 9, 7)).macs == 98 * (16 * 7 + 9 * 16 + 9 * 7)


def test_fusion_by_convolution_counts_as_the_grouped_convolution_it_is() -> None:
    mean, conv = (count(Triplet(16, fusion=fusion), (1, 16, 9, 7)) for fusion in ("mean", "conv"))
    assert conv.macs - mean.macs == 3 * 16 * 9 * 7


def test_several_inputs_and_example_tensors() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 6)
            self.linear = nn.Linear(6, 3, bias=False)

        def forward(self, tokens: Tensor, scale: Tensor) -> Tensor:
            return self.linear(self.embedding(tokens)) * scale

    counts = count(Model(), torch.zeros(1, 7, dtype=torch.long), (1, 7, 3))
    assert counts == Counts(params=78, macs=7 * 6 * 3, gflops_published=7 * 6 * 3 / 1e9)


def test_what_a_forward_pass_keeps_is_what_a_real_one_does() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(256, 5)
    )
    own = {parameter.data_ptr() for parameter in net.parameters()}
    storages = {}

    def note(saved: Tensor) -> Tensor:
        if saved.data_ptr() not in own:
            storages[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    x = torch.randn(16, 3, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        held = net(x)
    del held
    # Sums of a batch norm do not grow with the batch; nothing else is apart.
    assert 16 * kept(net, (1, 3, 8, 8)) == pytest.approx(sum(storages.values()), rel=0.02)
    images, first, activated, second = 3 * 64, 8 * 64, 8 * 64, 4 * 64
    assert kept(net, (1, 3, 8, 8)) == 4 * (images + first + activated + second) + 4 * 8 * 2 // 2

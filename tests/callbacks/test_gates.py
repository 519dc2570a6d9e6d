"""The recorder: numbers by hand, alarms, hooks gone afterwards, the cell's files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.step2 import Step2
from exp.blocks.triplet import Triplet
from exp.callbacks.gates import GateRecorder
from exp.cells.metrics_file import read_metrics
from exp.layers.resnet import resnet18
from exp.options.catalog import ConfigError
from exp.options.compose import resolved
from exp.tasks.attention.models.mobilenetv2 import MobileNetV2
from exp.tasks.attention_maps import attention_maps, draw, spread_out


class Gated(nn.Module):
    """A block whose gate and router say what they are told."""

    def __init__(self, gate: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.gate = nn.Identity()
        self.router_weights = nn.Identity()
        self.said = gate, weights

    def forward(self, x: Tensor) -> Tensor:
        self.router_weights(self.said[1])
        return x * self.gate(self.said[0])


def recorded(gate: Tensor, weights: Tensor, times: int = 1) -> GateRecorder:
    block = Gated(gate, weights)
    with GateRecorder(block) as gates:
        for _ in range(times):
            block(torch.ones(len(gate), 1, 1, 1))
    return gates


GATE = torch.tensor([[0.0], [1.0], [0.5], [0.5]])[:, :, None, None]
WEIGHTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("times", [1, 3])
def test_numbers_by_hand(times: int) -> None:
    numbers = recorded(GATE, WEIGHTS, times).numbers()
    assert numbers["gate.mean"] == pytest.approx(0.5)
    assert numbers["gate.spread"] == pytest.approx((0.5 / 4) ** 0.5)
    assert (numbers["gate.low"], numbers["gate.high"]) == (0.25, 0.25)
    assert numbers["router_weights.entropy"] == pytest.approx(0.5, abs=1e-4)
    assert numbers["router_weights.largest"] == pytest.approx(0.75)
    assert numbers["router_weights.weight0"] == pytest.approx(0.5)


def test_summary_and_histogram() -> None:
    gates = recorded(GATE, WEIGHTS)
    assert gates.summary()["saturation"] == pytest.approx(0.5)
    assert gates.summary()["router_entropy"] == pytest.approx(0.5, abs=1e-4)
    counts = gates.sums["gate"].histogram
    assert (counts[0], counts[10], counts[-1], counts.sum()) == (1, 2, 1, 4)


def test_values_beyond_one_have_no_saturation() -> None:
    numbers = recorded(4 * GATE - 2, WEIGHTS).numbers()
    assert "gate.low" not in numbers


HALVES = torch.full((4, 1, 1, 1), 0.5)
VARIED = torch.linspace(0.2, 0.8, 4).view(4, 1, 1, 1)
SPREAD = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])


@pytest.mark.parametrize(
    ("gate", "weights", "alarm"),
    [
        (VARIED, torch.tensor([[0.99, 0.01]] * 4), "collapsed, weight 0"),
        (VARIED, torch.tensor([[0.99, 0.01], [0.01, 0.99]] * 2), "router saturated"),
        (VARIED, torch.full((4, 2), 0.5), "uniform"),
        (torch.tensor([0.0, 1.0, 0.0, 1.0]).view(4, 1, 1, 1), SPREAD, "gate saturated"),
        (HALVES, SPREAD, "same for every sample"),
    ],
)
def test_alarms(gate: Tensor, weights: Tensor, alarm: str) -> None:
    alarms = recorded(gate, weights).alarms()
    assert len(alarms) == 1
    assert alarm in alarms[0]


def test_no_alarm_where_all_is_well() -> None:
    assert recorded(VARIED, SPREAD).alarms() == []


def test_a_frozen_temperature_is_an_alarm() -> None:
    block = Step2(8, learnable_temperature=True, temperature=100.0)
    with GateRecorder(block) as gates:
        block(torch.randn(4, 8, 5, 5))
    assert [alarm for alarm in gates.alarms() if "temperature is inf" in alarm]
    assert gates.numbers()["spatial.temperature"] == float("inf")


def test_hooks_are_ejected_and_change_nothing() -> None:
    torch.manual_seed(0)
    net = resnet18(stem="cifar", num_classes=3, width=4, att=Step2).eval()
    x = torch.randn(2, 3, 8, 8)
    before = net(x)
    with GateRecorder(net) as gates:
        assert torch.equal(net(x), before)
    assert len([name for name in gates.sums if name.endswith("spatial.gate")]) == 8
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_gate_called_twice_has_two_entries() -> None:
    block = CoordinateAttention(8)
    with GateRecorder(block) as gates:
        block(torch.randn(2, 8, 5, 7))
        block(torch.randn(2, 8, 5, 7))
    names = sorted(gates.sums)
    assert len(names) == 2
    assert names[1] == names[0] + ".2"
    assert [gates.sums[name].samples for name in names] == [4, 4]


def test_blocks_are_watched_where_the_networks_forward_is_not_what_is_called() -> None:
    net = resnet18(stem="cifar", num_classes=3, width=4, att=CoordinateAttention).eval()
    with GateRecorder(net) as gates:
        for size in (8, 8, 16):
            net.forward_stages(torch.randn(2, 3, size, size))
    first = {name: sums.samples for name, sums in gates.sums.items() if name.startswith("layer1.0")}
    assert sorted(first.values()) == [2, 2, 4, 4]


@pytest.mark.parametrize("att", [Triplet, Step2])
def test_maps_of_resnet_and_what_they_leave(att: Callable[[int], nn.Module]) -> None:
    torch.manual_seed(0)
    net = resnet18(stem="cifar", num_classes=3, width=4, att=att).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        before = net(x)
        maps = attention_maps(net, x, att)  # type: ignore[arg-type]
    torch.testing.assert_close(maps.logits, before)
    assert list(maps.effects) == [f"layer{stage}.{block}.att" for stage in range(1, 5) for block in range(2)]
    assert maps.effects["layer1.0.att"].shape == (2, 32, 32)
    assert maps.cam is not None
    assert maps.cam.shape == (2, 4, 4)
    assert maps.cam.max() <= 1
    assert "forward_stages" not in net.__dict__
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_effect_is_the_gates_where_nothing_else_acts() -> None:
    block = Gated(torch.rand(1, 1, 4, 4), WEIGHTS)
    maps = attention_maps(nn.Sequential(block), torch.rand(1, 3, 4, 4) + 0.1, Gated)
    torch.testing.assert_close(maps.effects["0"], block.said[0][:, 0], rtol=1e-3, atol=1e-4)
    assert maps.cam is None


def test_grad_cam_finds_the_only_place_that_counts() -> None:
    """The logit is the mean of what lies in one corner, so only that corner has a gradient and a value."""

    class Corner(nn.Module):
        def forward_stages(self, x: Tensor) -> list[Tensor]:
            return [x * torch.tensor([1.0, 0.0]).repeat_interleave(2).view(1, 1, 1, 4)]

        def forward(self, x: Tensor) -> Tensor:
            return self.forward_stages(x)[-1].mean((2, 3))

    maps = attention_maps(Corner(), torch.ones(1, 2, 4, 4), None)
    assert maps.cam is not None
    assert maps.cam[0, 0].tolist() == [1, 1, 0, 0]


def test_mobilenet_has_grad_cam_too() -> None:
    net = MobileNetV2(num_classes=3, width=0.25, stem="cifar").eval()
    maps = attention_maps(net, torch.randn(1, 3, 32, 32), None)
    assert maps.cam is not None
    assert maps.cam.shape == (1, 4, 4)


def test_a_picture(tmp_path: Path) -> None:
    net = resnet18(stem="cifar", num_classes=3, width=4, att=Triplet, in_channels=1).eval()
    maps = attention_maps(net, torch.randn(2, 1, 16, 16), Triplet)
    draw(tmp_path / "a.png", torch.zeros(2, 1, 16, 16, dtype=torch.uint8).numpy(), maps, ["one", "two"])
    import cv2

    image = cv2.imread(str(tmp_path / "a.png"))
    assert image is not None
    assert image.shape[1] > image.shape[0]
    assert spread_out(list("abcdefg"), 3) == ["a", "d", "g"]
    assert spread_out(list("ab"), 3) == ["a", "b"]


@pytest.mark.slow
def test_a_recorded_cell(train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    plain = train("att=step2", "trainer.max_epochs=1", f"cells.dir={tmp_path}/plain")
    result = train("att=step2", "trainer.max_epochs=1", "att.record=true")
    assert result["key"] == plain["key"], "watching is no other experiment"
    assert result["weights_sha256"] == plain["weights_sha256"]
    assert set(result["gates"]) == {
        "saturation",
        "spread",
        "gate_mean",
        "router_entropy",
        "router_spread",
        "alarms",
        "histograms",
    }
    lines = read_metrics(result["path"] / "metrics.jsonl")
    watched = [line for line in lines if line["split"] == "gates"]
    assert len(watched) == 1
    assert 0 < watched[0]["layer1.0.att.channel.gate.mean"] < 1
    assert watched[0]["layer1.0.att.channel.temperature"] == 1
    assert [line["split"] for line in lines].count("gates_test") == 1
    assert (result["path"] / "attention.png").stat().st_size > 10_000
    assert not (plain["path"] / "attention.png").exists()
    json.dumps(result["gates"], allow_nan=False)


def test_a_compiled_model_is_not_watched() -> None:
    with pytest.raises(ConfigError, match="record"):
        resolved(["att=triplet", "att.record=true", "trainer.compile=true"])

"""Weights of timm in our networks: the exact logits where timm is installed, the rules everywhere."""

import importlib.util

import pytest
import torch
from torch import nn

from exp.blocks.triplet import Triplet
from exp.layers.resnet import resnet18, resnet34
from exp.options.catalog import GROUPS
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.options.fields import fields
from exp.tasks.attention.models.mobilenetv2 import MobileNetV2
from exp.tasks.pretrained import load_by_name

NETS = [name for name, schema in GROUPS["model"].items() if getattr(schema, "timm", "")]


def moved(net: nn.Module) -> nn.Module:
    """Every weight and statistic drawn, so that a swapped layer shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                scale = 0.05 if value.dim() > 1 else 0.2
                value.add_(scale * (torch.rand(value.shape, generator=generator) - 0.4))
    return net.eval()


def test_which_networks_timm_has() -> None:
    named = {name: GROUPS["model"][name].timm for name in NETS}
    assert named == {
        "resnet18": "resnet18",
        "resnet34": "resnet34",
        "resnet50": "resnet50",
        "resnet101": "resnet101",
        "res2net50": "res2net50_26w_4s",
        "mobilenetv2": "mobilenetv2_100",
    }
    assert all("init" in fields(schema) for schema in GROUPS["model"].values()), "or a checkpoint's weights"


def test_a_network_that_timm_has_not_is_said_before_timm_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "timm" else real(name, *more))
    with pytest.raises(ConfigError, match="init=timm: timm has no cnn; it has resnet18"):
        resolved(["model=cnn", "init=timm"])
    with pytest.raises(ConfigError, match="init=timm: timm is not installed: pip install 'exp-tables"):
        resolved(["model=resnet18", "init=timm"])


@pytest.mark.timm
@pytest.mark.parametrize("name", NETS)
def test_timms_logits_to_the_last_bit(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed: make test-timm")
    schema = GROUPS["model"][name]
    theirs = moved(timm.create_model(schema.timm, pretrained=False))
    ours = schema.builder()(schema(stem="imagenet"), num_classes=1000).eval()
    assert load_by_name(ours, theirs.state_dict()) == []
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_attention_and_another_head_keep_their_own_values() -> None:
    source = moved(resnet18(num_classes=10, width=8, stem="imagenet"))
    ours = resnet18(num_classes=7, width=8, stem="imagenet", att=Triplet)
    kept = load_by_name(ours, source.state_dict())
    assert {key.split(".")[-3] for key in kept if "att" in key} == {"cw", "hc", "hw"}
    assert [key for key in kept if "att" not in key] == ["fc.weight", "fc.bias"]
    assert torch.equal(ours.layer3[1].conv2.weight, source.layer3[1].conv2.weight)


def test_layers_of_other_names_are_taken_in_order() -> None:
    source = moved(MobileNetV2(num_classes=10, stem="imagenet", width=0.25))
    renamed = {f"layer{i}": value for i, value in enumerate(source.state_dict().values())}
    ours = MobileNetV2(num_classes=10, stem="imagenet", width=0.25).eval()
    assert load_by_name(ours, renamed) == []
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(ours(x), source(x))


def test_another_width_is_refused() -> None:
    source = resnet18(num_classes=10, width=8, stem="imagenet")
    with pytest.raises(ConfigError, match="stock width and stem"):
        load_by_name(resnet18(num_classes=10, width=4, stem="imagenet"), source.state_dict())
    with pytest.raises(ConfigError, match="weights for a network of"):
        load_by_name(resnet34(num_classes=10, width=8, stem="imagenet"), source.state_dict())

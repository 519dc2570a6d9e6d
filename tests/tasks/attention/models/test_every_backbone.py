"""Every block in every kind of backbone, at every place: shapes, gradients, independence of the batch mates."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from exp.layers.resnet import PLACEMENTS
from exp.options.catalog import GROUPS
from exp.tasks.count import shapes_only

BACKBONES: dict[str, dict[str, Any]] = {
    "resnet18": {"width": 4},
    "resnet50": {"width": 4},
    "res2net50": {"width": 8},
    "mobilenetv2": {"width": 0.1},
    "van_b0": {"drop_path": 0.0},
}
pytestmark = pytest.mark.slow

BLOCKS = sorted(set(GROUPS["att"]) - {"none", "custom"})


def net(backbone: str, *, att: Callable[[int], nn.Module], placement: str = "branch_end") -> nn.Module:
    schema = GROUPS["model"][backbone]
    options = schema(stem="cifar", **BACKBONES[backbone])
    return schema.builder()(options, num_classes=3, image_size=(16, 16), att=att, placement=placement)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_block_trains(backbone: str) -> None:
    torch.set_num_threads(1)
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for name in BLOCKS:
        torch.manual_seed(0)
        made: list[nn.Module] = []

        def block(channels: int, name: str = name, made: list[nn.Module] = made) -> nn.Module:
            made.append(GROUPS["att"][name].builder()(channels))
            return made[-1]

        model = net(backbone, att=block)
        nn.functional.cross_entropy(model(x), torch.arange(3)).backward()
        assert len(made) == {"resnet18": 8, "mobilenetv2": 17, "van_b0": 13}.get(backbone, 16)
        lacking = [
            key for key, value in model.named_parameters() if value.grad is None or not value.grad.isfinite().all()
        ]
        assert not lacking, (name, lacking)
        model.eval()
        with torch.inference_mode():
            torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-4, msg=f"{name} in {backbone}")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_block_fits_every_place(backbone: str, placement: str) -> None:
    with shapes_only():
        for name in BLOCKS:
            kind = GROUPS["att"][name].builder()
            model = net(backbone, att=kind, placement=placement)
            assert any(isinstance(module, kind) for module in model.modules()), name
            assert model.eval()(torch.empty(1, 3, 16, 16)).shape == (1, 3), name

"""Every block in every kind of backbone, at every place: shapes, gradients, independence of the batch mates."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from exp import registry
from exp.models.mobilenetv2 import MobileNetV2
from exp.models.res2net import Res2Net
from exp.models.resnet import PLACEMENTS, ResNet
from exp.models.van import VAN

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "resnet18": partial(ResNet, depth=18, width=4),
    "resnet50": partial(ResNet, depth=50, width=4),
    "res2net50": partial(Res2Net, width=8),
    "mobilenetv2": partial(MobileNetV2, width=0.1),
    "van_b0": partial(VAN, size="b0", drop_path=0.0),
}
pytestmark = pytest.mark.slow

BLOCKS = sorted(set(registry.BLOCKS) - {"none", "custom"})


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_block_trains(backbone: str) -> None:
    torch.set_num_threads(1)
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for name in BLOCKS:
        torch.manual_seed(0)
        made: list[nn.Module] = []

        def block(channels: int, name: str = name, made: list[nn.Module] = made) -> nn.Module:
            made.append(registry.load(registry.BLOCKS, name)(channels))
            return made[-1]

        net = BACKBONES[backbone](num_classes=3, stem="cifar", att=block)
        nn.functional.cross_entropy(net(x), torch.arange(3)).backward()
        assert len(made) == {"resnet18": 8, "mobilenetv2": 17, "van_b0": 13}.get(backbone, 16)
        lacking = [
            key for key, value in net.named_parameters() if value.grad is None or not value.grad.isfinite().all()
        ]
        assert not lacking, (name, lacking)
        net.eval()
        with torch.inference_mode():
            torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-4, msg=f"{name} in {backbone}")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_block_fits_every_place(backbone: str, placement: str) -> None:
    with torch.device("meta"):
        for name in BLOCKS:
            kind = registry.load(registry.BLOCKS, name)
            net = BACKBONES[backbone](num_classes=3, stem="cifar", att=kind, placement=placement)
            assert any(isinstance(module, kind) for module in net.modules()), name
            assert net.eval()(torch.empty(1, 3, 16, 16)).shape == (1, 3), name

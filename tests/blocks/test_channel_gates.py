"""CBAM, squeeze-and-excitation and ECA against their written-out forms; channel gates on large maps and on small."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.step2 import Step2
from exp.blocks.triplet import Triplet
from tests.blocks.battery import CHANNELS, images, randomise

GLOBAL = {
    "avg": lambda x: x.mean((2, 3)),
    "max": lambda x: x.amax((2, 3)),
    "lp": lambda x: x.square().sum((2, 3)).sqrt(),
    "lse": lambda x: x.exp().sum((2, 3)).log(),
}


def cbam(block: CBAM, pools: list[str], x: Tensor) -> Tensor:
    x = x * torch.sigmoid(sum(block.mlp(GLOBAL[name](x)) for name in pools))[:, :, None, None]
    assert block.spatial is not None
    maps = torch.stack([x.amax(1), x.mean(1)], 1)
    return x * torch.sigmoid(block.spatial.bn(F.conv2d(maps, block.spatial.conv.weight, padding=3)))


@pytest.mark.parametrize("pool", ["avg+max", "avg+max+lp+lse", "lse"])
def test_cbam(pool: str) -> None:
    block = CBAM(CHANNELS, pool=pool, reduction=4).double().eval()
    randomise(block)
    x = images(2, (7, 5))
    torch.testing.assert_close(block(x), cbam(block, pool.split("+"), x), rtol=1e-12, atol=1e-12)


def test_cbam_lse_does_not_overflow() -> None:
    block = CBAM(CHANNELS, pool="lse")
    assert torch.isfinite(block(images(2, (7, 5), torch.float32) * 1e3)).all()


def test_cbam_starts_with_a_constant_spatial_gate() -> None:
    block = CBAM(CHANNELS)
    assert block.spatial is not None
    assert torch.equal(block.spatial(images(2, (7, 5), torch.float32)), torch.full((2, 1, 7, 5), 0.5))
    assert block.spatial.bn.momentum == 0.01
    with torch.no_grad():
        block.spatial.bn.weight.fill_(1)
    block.init_weights()
    assert block.spatial.bn.weight.item() == 0


def test_squeeze_excite() -> None:
    block = SqueezeExcite(CHANNELS).double()
    x = images(2, (7, 5))
    mean = F.adaptive_avg_pool2d(x, 1)
    torch.testing.assert_close(block(x), x * block.fc2(block.fc1(mean).relu()).sigmoid())


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 8), (200, 16, 16), (240, 4, 64), (96, 4, 24)])
def test_squeeze_excite_hidden_width_is_a_multiple_of_eight(channels: int, reduction: int, hidden: int) -> None:
    assert SqueezeExcite(channels, reduction=reduction).fc1.out_channels == hidden


def test_eca_convolves_along_the_channels() -> None:
    block = ECA(CHANNELS, kernel_size=5).double()
    x = images(2, (7, 5))
    mean = F.pad(x.mean((2, 3)), (2, 2))
    logit = sum(mean[:, i : i + CHANNELS] * block.conv.weight[0, 0, i] for i in range(5))
    torch.testing.assert_close(block(x), x * torch.sigmoid(logit)[:, :, None, None])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("kind", [CBAM, CoordinateAttention, ECA, SqueezeExcite, Step2, Triplet])
def test_small_maps_have_the_same_derivatives(
    kind: type[nn.Module], layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = kind(CHANNELS).double()
    randomise(block)
    x = images(2, (7, 5)).contiguous(memory_format=layout).requires_grad_()
    wanted = [x, *block.parameters()]
    found = []
    for fewest in (0, x.numel() + 1):
        monkeypatch.setattr("exp.layers.stored.FEWEST", fewest)
        y = block(x)
        once = torch.autograd.grad(y.square().sum(), x, create_graph=True)[0]
        # A bias before a batch norm has no second derivative.
        twice = torch.autograd.grad(once.sin().sum(), wanted, allow_unused=True, materialize_grads=True)
        found.append([y, once, *torch.autograd.grad(block(x).square().sum(), wanted), *twice])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)

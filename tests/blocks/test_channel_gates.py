"""CBAM, squeeze-and-excitation and ECA against their written-out forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.blocks.cbam import CBAM
from exp.blocks.eca import ECA
from exp.blocks.squeeze_excite import SqueezeExcite
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

"""Coordinate attention against its written-out form, on every plane."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.blocks.coordinate import CoordinateAttention, CoordinateGates
from tests.blocks.battery import CHANNELS, images, randomise


def official(block: CoordinateGates, x: Tensor) -> Tensor:
    """The published forward: adaptive-pool profiles, concatenated along the positions, one multiplication a gate."""
    height, width = x.shape[2:]
    x_h = F.adaptive_avg_pool2d(x, (None, 1))
    x_w = F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
    y = block.bn1(block.conv1(torch.cat([x_h, x_w], 2)))
    y = y * F.relu6(y + 3) / 6
    h, w = torch.split(y, [height, width], 2)
    return x * torch.sigmoid(block.conv_w(w.permute(0, 1, 3, 2))) * torch.sigmoid(block.conv_h(h))


def test_default_is_the_official_block() -> None:
    torch.manual_seed(0)
    block = CoordinateAttention(CHANNELS).double()
    randomise(block)
    gates = block.planes["hw"]
    before = {name: buffer.clone() for name, buffer in gates.named_buffers()}
    x, z = images(3, (7, 5)).requires_grad_(), images(3, (7, 5)).requires_grad_()
    y = block(x)
    after = {name: buffer.clone() for name, buffer in gates.named_buffers()}
    y.square().sum().backward()
    gradients = [p.grad for p in block.parameters()]
    block.zero_grad()
    gates.load_state_dict(before, strict=False)
    expected = official(gates, z)
    expected.square().sum().backward()
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(y, expected, **close)
    torch.testing.assert_close(x.grad, z.grad, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(gradients, [p.grad for p in block.parameters()], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(after, dict(gates.named_buffers()), **close)


def test_key_names_are_the_official_ones() -> None:
    names = {name.split(".")[0] for name in CoordinateGates(CHANNELS).state_dict()}
    assert names == {"conv1", "bn1", "conv_h", "conv_w"}


def along(x: Tensor, conv: torch.nn.Conv2d) -> Tensor:
    """The local convolution along axis r of (n, p, r, positions), written as a 1-D convolution."""
    n, p, r, positions = x.shape
    rows = x.permute(0, 3, 1, 2).reshape(n * positions, p, r)
    y = F.conv1d(rows, conv.weight[..., 0], conv.bias, padding=3)
    return y.reshape(n, positions, -1, r).permute(0, 2, 3, 1)


@pytest.mark.parametrize("pools", ["avg", "max+avg"])
@pytest.mark.parametrize(("plane", "order"), [("cw", (0, 2, 1, 3)), ("ch", (0, 3, 1, 2))])
def test_other_planes_mix_along_the_remaining_axis(plane: str, order: tuple[int, ...], pools: str) -> None:
    torch.manual_seed(0)
    block = CoordinateAttention(CHANNELS, axes=plane, pools=pools).double().eval()
    randomise(block)
    gates = block.planes[plane]
    x = images(2, (7, 5))
    v = x.permute(order)  # (n, r, a, b)
    statistics = [{"avg": lambda t, d: t.mean(d), "max": lambda t, d: t.amax(d)}[name] for name in pools.split("+")]
    profile_a = torch.stack([f(v, 3) for f in statistics], 1)
    profile_b = torch.stack([f(v, 2) for f in statistics], 1)
    hidden = F.hardswish(gates.bn1(along(torch.cat([profile_a, profile_b], 3), gates.conv1)))
    h_a, h_b = hidden[..., : v.shape[2]], hidden[..., v.shape[2] :]
    gate_a = along(h_a, gates.conv_h).sigmoid().squeeze(1)[:, :, :, None]
    gate_b = along(h_b, gates.conv_w).sigmoid().squeeze(1)[:, :, None, :]
    back = [order.index(axis) for axis in range(4)]
    torch.testing.assert_close(block(x), (v * gate_a * gate_b).permute(back), rtol=1e-12, atol=1e-12)


def test_several_planes_average_their_products() -> None:
    block = CoordinateAttention(CHANNELS, axes="hw+cw+ch").double().eval()
    randomise(block)
    x = images(2, (7, 5))
    products = [along * across for along, across in (gates(x) for gates in block.planes.values())]
    torch.testing.assert_close(block(x), x * sum(products) / 3)


def test_no_weight_of_the_other_planes_depends_on_the_sizes() -> None:
    block = CoordinateAttention(CHANNELS, axes="cw+ch")
    assert sum(p.numel() for p in block.parameters()) == 2 * ((8 * 7 + 8) + 16 + 2 * (8 * 7 + 1))
    for size in ((7, 5), (31, 2)):
        assert block(images(2, size, torch.float32)).shape == (2, CHANNELS, *size)


@pytest.mark.parametrize(("reduction", "hidden"), [(32, 8), (2, 32), (1, 64)])
def test_hidden_width(reduction: int, hidden: int) -> None:
    assert CoordinateGates(64, reduction=reduction).conv1.out_channels == hidden
    assert CoordinateGates(64, reduction=reduction, pools="avg+max+l1").conv1.in_channels == 3 * 64

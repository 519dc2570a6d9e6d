"""Statistics along an axis, activations and gates by name, and convolutions that are faster on a CPU."""

import math

import pytest
import torch
from torch import nn

from exp.blocks.dilated_conv import DilatedDepthwise2d
from exp.blocks.options import GLOBAL_STATISTICS, STATISTICS
from exp.blocks.plane_conv import PlaneConv2d
from exp.layers.activations import make_activation, make_gate
from exp.layers.pools import pool_axis
from exp.options.catalog import GROUPS
from exp.options.fields import choices, fields, hints


def test_pools_of_a_known_row() -> None:
    row = torch.tensor([[3.0, -1.0, 2.0, -4.0]])
    expected = {"avg": 0.0, "max": 3.0, "median": -1.0, "l1": 10.0, "l2": 30**0.5, "lp": 30**0.5}
    for name, value in expected.items():
        assert pool_axis(row, name, 1).item() == pytest.approx(value)
    assert pool_axis(row, "lse", 1).item() == pytest.approx(torch.tensor([20.0855, 0.3679, 7.3891, 0.0183]).sum().log())


@pytest.mark.parametrize("name", sorted({*STATISTICS, *GLOBAL_STATISTICS}))
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_pools_remove_their_axis(name: str, dim: int) -> None:
    x = torch.randn(2, 3, 4, 5)
    shape = list(x.shape)
    del shape[dim]
    assert list(pool_axis(x, name, dim).shape) == shape


@pytest.mark.parametrize("name", ["l1", "l2", "lse"])
def test_norms_have_a_finite_gradient_at_zero(name: str) -> None:
    x = torch.zeros(2, 5, requires_grad=True)
    pool_axis(x, name, 1).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def assert_same(fast: nn.Module, plain: nn.Module, x: torch.Tensor) -> None:
    """Outputs, input gradients and parameter gradients agree."""
    x, z = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = fast(x), plain(z)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(expected)
    (y * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(x.grad, z.grad, rtol=1e-12, atol=1e-12)
    for p, q in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (12, 5), (5, 12), (70, 60)], ids=str)
def test_plane_convolution_equals_conv2d(size: tuple[int, int], kernel_size: int, bias: bool) -> None:
    torch.manual_seed(0)
    fast = PlaneConv2d(3, kernel_size, bias=bias).double()
    plain = nn.Conv2d(3, 1, kernel_size, padding=kernel_size // 2, bias=bias).double()
    plain.load_state_dict(fast.state_dict())
    assert_same(fast, plain, torch.randn(2, 3, *size, dtype=torch.float64))


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 2), (7, 3), (4, 2), (5, 1), (7, 4)])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 5), (12, 12), (25, 3)], ids=str)
def test_dilated_depthwise_equals_conv2d(size: tuple[int, int], kernel_size: int, dilation: int) -> None:
    torch.manual_seed(0)
    fast = DilatedDepthwise2d(4, kernel_size, dilation=dilation).double()
    padding = dilation * (kernel_size - 1) // 2
    plain = nn.Conv2d(4, 4, kernel_size, padding=padding, dilation=dilation, groups=4).double()
    plain.load_state_dict(fast.state_dict())
    assert_same(fast, plain, torch.randn(2, 4, *size, dtype=torch.float64))


def test_dilated_depthwise_refuses_uneven_padding() -> None:
    with pytest.raises(ValueError, match="kernel_size"):
        DilatedDepthwise2d(4, 4, dilation=3)


def names(option: str) -> list[str]:
    """Returns every value that an attention block's option can have."""
    schemas = [schema for schema in GROUPS["att"].values() if option in fields(schema)]
    return sorted({name for schema in schemas for name in choices(hints(schema)[option])})


def test_every_activation_of_a_block_builds() -> None:
    x = torch.linspace(-2, 2, 5)
    assert len(names("activation")) == 10
    for name in names("activation"):
        assert make_activation(name)(x).shape == x.shape
    with pytest.raises(ValueError, match="activation=swish: no such activation"):
        make_activation("swish")


def test_parameters_of_activations() -> None:
    x = torch.tensor([-1.0])
    assert make_activation("leaky_relu", negative_slope=0.2)(x).item() == pytest.approx(-0.2)
    for name in ("elu", "celu"):
        assert make_activation(name, alpha=0.5)(x).item() == pytest.approx(
            0.5 * math.expm1(-1 if name == "elu" else -2)
        )


def test_every_gate_of_a_block_builds() -> None:
    x = torch.randn(3, 1, 2, 5)
    assert "softmax_branch" in names("gate")  # is made of several gates, by triplet attention itself
    for name in names("gate"):
        if name != "softmax_branch":
            assert make_gate(name)(x).shape == x.shape
    with pytest.raises(ValueError, match="gate=softmax: no such gate"):
        make_gate("softmax")

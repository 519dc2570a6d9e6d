"""Statistics along several axes and products with gates: equal to their plain forms, and lean in what they keep."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import indexed_max, pool_axes
from exp.layers.pools import pool_axis
from exp.layers.stored import FEWEST, stored


@pytest.fixture(autouse=True)
def as_on_large_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.layers.stored.FEWEST", 0)


def test_small_maps_take_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.layers.stored.FEWEST", FEWEST)
    assert stored(torch.zeros(64, 16, 8, 8)) is None
    assert stored(torch.zeros(64, 16, 32, 32)) is not None


SHAPES = [(3, 5, 7, 4), (2, 16, 32, 20), (1, 3, 1, 1)]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def image(shape: tuple[int, ...], layout: torch.memory_format, *, flat: bool = False) -> Tensor:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    if flat:  # many equal values, as behind a ReLU
        x = (x * 2).round().relu()
    return x.contiguous(memory_format=layout).requires_grad_()


def gradients(make: Callable[[Tensor], list[Tensor]], x: Tensor) -> tuple[list[Tensor], Tensor]:
    out = make(x)
    return out, torch.autograd.grad(sum(((one + 0.3).square() * one.detach().cos()).sum() for one in out), x)[0]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("names", [("max", "avg"), ("avg",), ("max",), ("l2", "max")], ids=str)
def test_pools_are_the_plain_ones(
    names: tuple[str, ...], shape: tuple[int, ...], layout: torch.memory_format, flat: bool
) -> None:
    x = image(shape, layout, flat=flat)
    found, grad = gradients(lambda x: pool_axes(x, names, (2, 3, 1)), x)
    plain, expected = gradients(
        lambda x: [torch.stack([pool_axis(x, name, axis) for name in names], 1) for axis in (2, 3, 1)], x
    )
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("length", [1, 7, 16, 17, 56, 256])
def test_indexed_max_is_the_first_maximum(length: int) -> None:
    x = (torch.randn(3, length, 5, generator=torch.Generator().manual_seed(0)) * 2).round()
    x[0, length // 2, 1] = float("nan")
    for axis, view in ((1, x), (2, x.transpose(1, 2)), (0, x.transpose(0, 1))):
        value, index = indexed_max(view, axis)
        expected = view.max(axis)
        torch.testing.assert_close(value, expected.values, equal_nan=True)
        assert torch.equal(index, expected.indices)


def gates(shape: tuple[int, ...]) -> list[Tensor]:
    b, c, h, w = shape
    sizes = [(b, c, 1, w), (b, c, h, 1), (b, 1, h, w), (b, c, 1, 1), (b, c, h, w)]
    draws = torch.Generator().manual_seed(1)
    return [torch.randn(size, dtype=torch.float64, generator=draws).requires_grad_() for size in sizes]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("plan", [((0,), (1,), (2,)), ((0, 1),), ((3,),), ((0,), (1, 2), (4,))], ids=str)
def test_scaled_is_the_plain_product(
    plan: tuple[tuple[int, ...], ...], shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    x, all_gates = image(shape, layout), gates(shape)
    used = [all_gates[number] for term in plan for number in term]
    found = scaled(x, [[all_gates[number] for number in term] for term in plan])
    plain = x * sum(torch.stack(torch.broadcast_tensors(*(all_gates[n] for n in term))).prod(0) for term in plan)
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-12)
    weight = plain.detach().sin()
    ours = torch.autograd.grad((found * weight).sum(), [x, *used])
    torch.testing.assert_close(ours, torch.autograd.grad((plain * weight).sum(), [x, *used]), rtol=1e-11, atol=1e-11)


def test_second_derivatives() -> None:
    x, (a, b, *_) = image((2, 3, 4, 3), torch.channels_last), gates((2, 3, 4, 3))
    assert torch.autograd.gradgradcheck(lambda x, a, b: scaled(x, [(a,), (a, b)]), (x, a, b), fast_mode=True)
    assert torch.autograd.gradgradcheck(
        lambda x: [one.square() for one in pool_axes(x, ("max", "avg"), (2, 3))], (x,), fast_mode=True
    )


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_nothing_of_the_maps_size_but_the_map_is_kept(layout: torch.memory_format) -> None:
    x, (a, b, *_) = image((2, 16, 32, 20), layout), gates((2, 16, 32, 20))
    kept: dict[int, int] = {}

    def note(one: Tensor) -> Tensor:
        kept[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        return one

    with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
        scaled(x, [(a,), (b,)]), pool_axes(x, ("max", "avg"), (1, 2, 3))
    assert sum(kept.values()) < 1.5 * x.untyped_storage().nbytes()

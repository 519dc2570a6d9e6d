"""Statistics along several axes and products with gates: equal to their plain forms, and lean in what they keep."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import LONG, Axis, indexed_max, pool_axes, pooled
from exp.layers.pools import pool_axis
from exp.layers.stored import FEWEST, stored


@pytest.fixture(autouse=True)
def as_on_large_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.layers.stored.FEWEST", 0)
    monkeypatch.setattr("exp.layers.stored.PIECE", 1)


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("length", [1, 7, 16, 65, 256, 2048])
@pytest.mark.parametrize("others", [5, LONG])
def test_indexed_max_is_the_first_maximum(others: int, length: int, dtype: torch.dtype) -> None:
    x = (torch.randn(3, length, others, generator=torch.Generator().manual_seed(0)) * 2).round().to(dtype)
    x[1, : length // 3] = -float("inf")
    x[2, :, 3] = -0.0
    x[2, length // 2, 3] = 0.0  # equal to the others
    nan = x.clone()
    nan[0, length // 2, 1] = float("nan")
    for given in (x, nan):
        for axis, view in ((1, given), (2, given.transpose(1, 2).contiguous())):
            value, index = indexed_max(view, axis)
            expected = view.max(axis)
            torch.testing.assert_close(value, expected.values, rtol=0, atol=0, equal_nan=True)
            assert torch.equal(index.long(), expected.indices)
            assert index.dtype == torch.int16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_indexed_max_of_many(dtype: torch.dtype) -> None:
    x = torch.randn(2, (1 << 15) + 1, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[1, -1] = 9
    value, index = indexed_max(x, 1)
    expected = x.max(1)
    assert torch.equal(value, expected.values)
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


def test_a_gate_for_the_whole_batch_is_broadcast() -> None:
    x, gate = image((3, 5, 7, 4), torch.contiguous_format), torch.rand(1, 5, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(scaled(x, [(gate,)]), x * gate)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("names", [("avg",), ("max", "avg")], ids=str)
def test_pools_over_both_positions(names: tuple[str, ...], shape: tuple[int, ...], layout: torch.memory_format) -> None:
    x = image(shape, layout, flat=True)
    found, grad = gradients(lambda x: pool_axes(x, names, [(2, 3), 1]), x)
    plain, expected = gradients(lambda x: plain_pools(x, names, [(2, 3), 1]), x)
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


def plain_pools(x: Tensor, names: tuple[str, ...], axes: Sequence[Axis]) -> list[Tensor]:
    flats = [(x, axis) if isinstance(axis, int) else (x.flatten(*axis), axis[0]) for axis in axes]
    return [torch.stack([pool_axis(flat, name, axis) for name in names], 1) for flat, axis in flats]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_gradient_is_right_where_a_second_derivative_is_wanted(layout: torch.memory_format) -> None:
    x = image((2, 3, 4, 3), layout)
    y = scaled(x, [(x.mean((2, 3), keepdim=True).sigmoid(),)])
    (wanted,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)
    (expected,) = torch.autograd.grad(x * x.mean((2, 3), keepdim=True).sigmoid(), x, torch.ones_like(y))
    torch.testing.assert_close(wanted, expected, rtol=1e-12, atol=1e-12)


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


GATED: list[tuple[list[Axis], tuple[tuple[int, ...], ...]]] = [
    ([(2, 3)], ((0,),)),
    ([1], ((0,),)),
    ([3, 2], ((0, 1),)),
    ([2, 3, 1], ((0,), (1,), (2,))),
]
"""Axes of statistics, and how the gates made of them are joined: as most blocks have it."""


def gated(
    x: Tensor, axes: list[Axis], plan: tuple[tuple[int, ...], ...], names: tuple[str, ...], *, plain: bool = False
) -> Tensor:
    """Returns x times gates that are made of its own statistics."""
    if plain:
        planes = plain_pools(x, names, axes)
        joint = None
    else:
        planes, joint = pooled(x, names, axes, plan)
        assert joint is not None
    made = [(one * torch.arange(1, one.shape[1] + 1).view(1, -1, *[1] * (one.dim() - 2))).sum(1) for one in planes]
    made = [
        (one.unsqueeze(axis) if isinstance(axis, int) else one[..., None, None]).sigmoid()
        for one, axis in zip(made, axes, strict=True)
    ]
    if plain:
        return x * sum(torch.stack(torch.broadcast_tensors(*(made[n] for n in term))).prod(0) for term in plan)
    return scaled(x, [[made[n] for n in term] for term in plan], joint)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
@pytest.mark.parametrize("names", [("avg",), ("max", "avg")], ids=str)
@pytest.mark.parametrize(("axes", "plan"), GATED, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gates_of_the_maps_own_statistics(
    shape: tuple[int, ...],
    layout: torch.memory_format,
    axes: list[Axis],
    plan: tuple[tuple[int, ...], ...],
    names: tuple[str, ...],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    x = image(shape, layout).detach().to(dtype).requires_grad_()
    (found,), grad = gradients(lambda x: [gated(x, axes, plan, names) + x.square()], x)
    (expected,), wanted = gradients(lambda x: [gated(x, axes, plan, names, plain=True) + x.square()], x)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(grad, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("axes", "plan"), GATED, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_derivatives_of_gates_of_the_maps_own_statistics(
    layout: torch.memory_format, axes: list[Axis], plan: tuple[tuple[int, ...], ...]
) -> None:
    x = image((2, 3, 4, 3), layout)
    names = ("max", "avg")
    assert torch.autograd.gradcheck(lambda x: gated(x, axes, plan, names), (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: gated(x, axes, plan, names), (x,), fast_mode=True)
    firsts = [
        torch.autograd.grad(gated(x, axes, plan, names, plain=plain).square().sum(), x, create_graph=True)[0]
        for plain in (False, True)
    ]
    torch.testing.assert_close(*firsts, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_product_is_left_as_it_is() -> None:
    x = image((2, 3, 4, 3), torch.contiguous_format)
    grad = torch.randn_like(x)
    kept = grad.clone()
    gated(x, [(2, 3)], ((0,),), ("avg",)).backward(grad)
    assert torch.equal(grad, kept)


def test_the_map_has_its_gradient_whatever_the_gates_have() -> None:
    x = image((2, 3, 4, 3), torch.contiguous_format)
    weight = torch.rand(2, 3, 1, 1, dtype=torch.float64).requires_grad_()

    def grad(of: Callable[[], Tensor], *wanted: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(of().sum(), wanted)

    def detached() -> Tensor:
        (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
        return scaled(x, [(mean.transpose(1, 2).unsqueeze(3).detach() * weight,)], joint)

    def aside() -> Tensor:
        with torch.no_grad():
            (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
        return scaled(x, [(mean.transpose(1, 2).unsqueeze(3) * weight,)], joint)

    def other_gates() -> Tensor:
        (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
        return scaled(x, [(mean.transpose(1, 2).unsqueeze(3).detach() * weight,), (torch.zeros_like(x),)], joint)

    fixed = x.detach().mean((2, 3), keepdim=True)
    expected = grad(lambda: x * fixed * weight, x, weight)
    for way in (detached, aside, other_gates):
        torch.testing.assert_close(grad(way, x, weight), expected)
    x.requires_grad_(False)
    torch.testing.assert_close(grad(detached, weight), expected[1:])


def test_statistics_finish_one_product_alone() -> None:
    x = image((2, 3, 4, 3), torch.contiguous_format).requires_grad_()
    (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
    gate = mean.transpose(1, 2).unsqueeze(3)
    scaled(x, [(gate,)], joint)
    with pytest.raises(RuntimeError, match="take them once for each"):
        scaled(x, [(gate,)], joint)

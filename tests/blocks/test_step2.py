"""The step-2 block: parameters, and each measured fact about the published form beside the form that mends it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.step2 import Step2
from exp.blocks.step2_channel import Step2Channel
from exp.blocks.step2_spatial import Step2Spatial, coordinates
from exp.blocks.temperature import Temperature, softplus_inverse
from exp.layers.options import RESNETS
from exp.layers.resnet import ResNet
from exp.options.errors import ConfigError
from exp.tasks.count import count, shapes_only
from tests.blocks.battery import images, randomise


def built(**options: object) -> Step2:
    torch.manual_seed(0)
    block = Step2(16, **options).double().eval()
    randomise(block)
    return block


def weights_of(block: Step2, x: Tensor) -> Tensor:
    kernels = block.forward_with_maps(x)[1].kernels
    assert kernels is not None
    return kernels


def spots(size: int = 9) -> tuple[Tensor, Tensor]:
    """One bright spot, in the upper left and in the lower right corner; the same values otherwise."""
    upper, lower = torch.zeros(2, 1, 16, size, size, dtype=torch.float64).unbind(0)
    upper[..., 1:4, 1:4] = 2.0
    lower[..., -4:-1, -4:-1] = 2.0
    return upper, lower


@pytest.mark.parametrize(
    ("depth", "stem", "classes", "pixels", "expected"),
    [
        (18, "cifar", 100, 32, (11_375_108, 556_901_824)),
        pytest.param(50, "cifar", 100, 32, (26_728_484, 1_305_521_152), marks=pytest.mark.slow),
        pytest.param(18, "imagenet", 1000, 224, (11_844_488, 1_817_974_768), marks=pytest.mark.slow),
        (50, "imagenet", 1000, 224, (28_580_264, 4_100_800_360)),
    ],
)
def test_published_counts(depth: int, stem: str, classes: int, pixels: int, expected: tuple[int, int]) -> None:
    with shapes_only():
        net = ResNet(RESNETS[f"resnet{depth}"](stem=stem), num_classes=classes, att=Step2)
    counts = count(net, (1, 3, pixels, pixels))
    assert (counts.params, counts.macs) == expected


def test_spatial_parameters() -> None:
    assert sum(p.numel() for p in Step2(64).spatial.parameters()) == 507


def test_published_form_step_by_step() -> None:
    """The source's formulas written out once more, with plain functions."""
    block, x = built(), images(3, (7, 5))
    ca, sa = block.channel, block.spatial
    assert isinstance(ca, Step2Channel)
    assert isinstance(sa, Step2Spatial)
    avg, largest = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)

    def mlp(squeezed: Tensor) -> Tensor:
        first, second = ca.mlp[0], ca.mlp[2]
        return F.conv2d(F.conv2d(squeezed, first.weight, first.bias).relu(), second.weight, second.bias)

    w = torch.softmax(ca.router(torch.cat([avg, largest], 1)).flatten(1), 1)
    y = x * torch.sigmoid(w[:, 0].view(-1, 1, 1, 1) * mlp(avg) + w[:, 1].view(-1, 1, 1, 1) * mlp(largest))
    yy, xx = torch.meshgrid(
        torch.linspace(-1, 1, 7, dtype=x.dtype), torch.linspace(-1, 1, 5, dtype=x.dtype), indexing="ij"
    )
    s = torch.cat([y.mean(1, keepdim=True), y.max(1, keepdim=True)[0], xx.expand(3, 1, 7, 5), yy.expand(3, 1, 7, 5)], 1)
    branches = []
    for layers, (padding, dilation) in zip(sa.branches, [(1, 1), (3, 1), (6, 2)], strict=True):
        deep = F.conv2d(s, layers[0].weight, padding=padding, dilation=dilation, groups=4)
        branches.append(F.conv2d(deep, layers[1].weight))
    first, second = sa.router[1], sa.router[3]
    hidden = F.conv2d(F.adaptive_avg_pool2d(s, 1), first.weight, first.bias).relu()
    rw = torch.softmax(F.conv2d(hidden, second.weight, second.bias).flatten(1), 1)
    mask = torch.sigmoid((rw[:, :, None, None, None] * torch.stack(branches, 1)).sum(1))
    out, maps = block.forward_with_maps(x)
    torch.testing.assert_close(out, y * mask)
    torch.testing.assert_close(maps.fusion, w)
    torch.testing.assert_close(maps.kernels, rw)
    torch.testing.assert_close(maps.spatial, mask)
    assert torch.equal(out, block(x))
    assert not [hook for module in block.modules() for hook in module._forward_hooks]


@pytest.mark.parametrize("coord", ["minus1to1", "0to1"])
def test_the_published_router_cannot_see_position(coord: str) -> None:
    upper, lower = spots()
    block = built(coord=coord)
    assert torch.equal(weights_of(block, upper), weights_of(block, lower))


@pytest.mark.parametrize("router_pool", ["grid", "attend"])
def test_the_mended_router_sees_position(router_pool: str) -> None:
    upper, lower = spots()
    block = built(router_pool=router_pool)
    assert (weights_of(block, upper) - weights_of(block, lower)).abs().max() > 1e-3


def test_attending_needs_the_coordinates_to_see_position() -> None:
    upper, lower = spots()
    block = built(router_pool="attend", router_inputs=2)
    torch.testing.assert_close(weights_of(block, upper), weights_of(block, lower), rtol=1e-12, atol=1e-12)


def test_the_router_with_four_inputs_equals_one_with_two() -> None:
    """The mean of the coordinates is a constant, which the bias can hold."""
    four, two = built(), built(router_inputs=2)
    two.load_state_dict({k: v for k, v in four.state_dict().items() if "spatial.router.1." not in k}, strict=False)
    wide, narrow = four.spatial.router[1], two.spatial.router[1]
    with torch.no_grad():
        narrow.weight.copy_(wide.weight[:, :2])
        narrow.bias.copy_(wide.bias)  # from -1 to 1 the constant is 0
    x = images(3, (7, 5))
    torch.testing.assert_close(four(x), two(x))


def test_depthwise_and_pointwise_equal_one_convolution() -> None:
    separable, plain, x = built(), built(branch="plain"), images(2, (7, 5))
    plain.load_state_dict({k: v for k, v in separable.state_dict().items() if "branches" not in k}, strict=False)
    with torch.no_grad():
        for two, one in zip(separable.spatial.branches, plain.spatial.branches, strict=True):
            one.weight.copy_(two[0].weight.transpose(0, 1) * two[1].weight.transpose(2, 1).view(1, 4, 1, 1))
    torch.testing.assert_close(separable(x), plain(x), rtol=1e-10, atol=1e-10)
    sizes = [sum(p.numel() for p in block.spatial.branches.parameters()) for block in (separable, plain)]
    assert sizes == [440, 428], "over-parametrised, not cheaper"


def test_activated_branches_do_not_fold() -> None:
    """The logits of a linear map of s add up; with a ReLU between they do not."""
    x = images(1, (7, 5)).abs()
    for kind, linear in (("separable", True), ("activated", False)):
        branches = built(branch=kind, kernels="3", dilated=False, coord="none").spatial.branches
        s = torch.cat([x[:, :1], x[:, 1:2]], 1)
        gap = (branches[0](2 * s) - branches[0](torch.zeros_like(s))) - 2 * (
            branches[0](s) - branches[0](torch.zeros_like(s))
        )
        assert (gap.abs().max() < 1e-10) == linear


def test_alpha_one_is_no_residual() -> None:
    x = images(2, (7, 5))
    torch.testing.assert_close(built(residual=False)(x), built()(x), rtol=1e-12, atol=1e-12)
    half = built(residual_alpha=0.5)(x)
    torch.testing.assert_close(half, (x + built(residual=False)(x)) / 2)


def test_learnable_alpha_gets_a_gradient() -> None:
    block = built(learnable_alpha=True)
    block(images(2, (7, 5))).square().sum().backward()
    assert block.alpha.grad is not None
    assert block.alpha.grad.abs() > 1e-6


def test_published_inverse_overflows_and_freezes_the_gate() -> None:
    for start in (0.1, 1.0, 10.0, 88.0):
        assert softplus_inverse(start, "published").item() == pytest.approx(softplus_inverse(start, "stable").item())
    assert softplus_inverse(89.0, "published").item() == float("inf")
    broken = Temperature(89.0, learnable=True, inverse="published")
    mended = Temperature(89.0, learnable=True, inverse="stable")
    logits = torch.tensor([-500.0, 0.0, 500.0])
    assert torch.sigmoid(broken(logits)).tolist() == [0.5, 0.5, 0.5]
    torch.testing.assert_close(mended(logits), logits / 89)
    mended(logits).square().sum().backward()
    assert mended.raw.grad is not None
    assert torch.isfinite(mended.raw.grad)


def test_softmax_fusion_halves_the_logits_of_the_sum() -> None:
    x = images(2, (7, 5))
    seen: dict[str, Tensor] = {}
    for fusion in ("sum", "softmax", "softmax_scaled"):
        block = built(fusion=fusion)
        state = built(fusion="sum").channel.mlp.state_dict()
        block.channel.mlp.load_state_dict(state)
        if block.channel.router is not None:
            nn.init.zeros_(block.channel.router[2].weight)  # the router's weights are then one half each
            nn.init.zeros_(block.channel.router[2].bias)
        seen[fusion] = torch.logit(block.channel(x))
    torch.testing.assert_close(seen["softmax"], seen["sum"] / 2)
    torch.testing.assert_close(seen["softmax_scaled"], seen["sum"])


def test_coordinates() -> None:
    grid = coordinates(torch.empty(2, 5, 3, 4), "minus1to1")
    assert grid.shape == (2, 2, 3, 4)
    torch.testing.assert_close(grid[1, 0, 2], torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0]))
    torch.testing.assert_close(grid[0, 1, :, 1], torch.tensor([-1.0, 0.0, 1.0]))
    assert coordinates(torch.empty(1, 5, 3, 4), "0to1").min() == 0


def test_one_branch_has_no_router() -> None:
    block = built(kernels="7", dilated=False)
    assert block.spatial.router is None
    assert block.forward_with_maps(images(1, (5, 5)))[1].kernels is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fusion": "mean"}, "fusion"),
        ({"gate": "tanh"}, "gate"),
        ({"activation": "gelu"}, "activation"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature_inverse": "stable"}, "temperature_inverse"),
        ({"learnable_temperature": True, "temperature_inverse": "exact"}, "temperature_inverse"),
        ({"kernels": "4"}, "kernels"),
        ({"kernels": "3+3"}, "kernels"),
        ({"dilated_kernel": 6}, "dilated_kernel"),
        ({"dilated": False, "dilation": 3}, "dilation"),
        ({"branch": "folded"}, "branch"),
        ({"coord": "polar"}, "coord"),
        ({"coord": "none", "router_inputs": 2}, "router_inputs"),
        ({"router_inputs": 3}, "router_inputs"),
        ({"router_pool": "max"}, "router_pool"),
        ({"router_hidden": 0}, "router_hidden"),
        ({"fusion_hidden": 0}, "fusion_hidden"),
        ({"fusion": "sum", "fusion_hidden": 8}, "fusion_hidden"),
        ({"reduction": 0}, "reduction"),
        ({"min_hidden": 0}, "min_hidden"),
        ({"residual": False, "residual_alpha": 0.5}, "residual_alpha"),
        ({"residual": False, "learnable_alpha": True}, "learnable_alpha"),
    ],
)
def test_bad_value_is_refused_by_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as error:
        Step2(16, **options)
    assert str(error.value).startswith(f"{named}={options[named]}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("options", "depends"), [({"coord": "none"}, False), ({}, True), ({"coord": "0to1"}, True)])
def test_only_coordinates_make_the_output_depend_on_the_place(options: dict[str, object], depends: bool) -> None:
    """Away from the border, the mean over all positions is the same wherever a spot is, unless the gate depends on it."""
    upper, lower = torch.zeros(2, 1, 16, 31, 31, dtype=torch.float64).unbind(0)
    upper[..., 8:11, 8:11] = 2.0
    lower[..., 20:23, 20:23] = 2.0
    block = built(**options)
    gap = (block(upper).mean((2, 3)) - block(lower).mean((2, 3))).abs().max()
    assert (gap > 1e-6) == depends
    if not depends:
        assert gap < 1e-12

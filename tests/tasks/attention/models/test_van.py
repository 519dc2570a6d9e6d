"""VAN: exact parameters and MACs, the small-image stem, variants of the large kernel, places of a further block."""

import re
from typing import Any

import pytest
import torch

from exp.layers.drop_path import DropPath
from exp.layers.resnet import PLACEMENTS
from exp.options.catalog import GROUPS
from exp.tasks.attention.models.van import VAN
from exp.tasks.attention.options import VANOptions
from exp.tasks.count import count, shapes_only
from tests.conftest import slow_but
from tests.layers.probe import Probe

# Measured on the official file.
IMAGENET = {
    "b0": (4_105_800, 864_224_000),
    "b1": (13_861_800, 2_495_262_720),
    "b2": (26_578_472, 4_992_773_120),
    "b3": (44_765_608, 8_925_292_032),
    "b4": (60_283_176, 12_143_756_288),
    "b5": (89_967_688, 17_129_123_328),
    "b6": (199_829_416, 38_710_096_896),
}
CIFAR_STOCK_STEM = {
    "b0": (3_874_500, 17_657_600),
    "b1": (13_400_100, 50_964_480),
    "b2": (26_116_772, 101_934_080),
    "b3": (44_303_908, 182_189_568),
}
BY_KERNEL = {7: 4_027_400, 14: 4_067_400, 21: 4_105_800, 28: 4_144_200}
NETWORK = ("num_classes", "in_channels", "att", "placement")


def van(size: str, *, stem: str = "imagenet", **given: Any) -> VAN:
    """The network of a size from its options by name."""
    own = {name: value for name, value in given.items() if name not in NETWORK}
    options = GROUPS["model"][f"van_{size}"](stem=stem, **own)
    return VAN(options, **{name: value for name, value in given.items() if name in NETWORK})


def counted(size: str, classes: int, pixels: int, **options: object) -> tuple[int, int]:
    with shapes_only():
        counts = count(van(size, num_classes=classes, **options), (1, 3, pixels, pixels))
    return counts.params, counts.macs


@pytest.mark.parametrize("size", slow_but(IMAGENET, "b0"))
def test_counts_to_the_last_digit(size: str) -> None:
    assert counted(size, 1000, 224) == IMAGENET[size]


@pytest.mark.parametrize("size", slow_but(CIFAR_STOCK_STEM, "b0"))
def test_counts_at_32_pixels_with_the_stock_stem(size: str) -> None:
    assert counted(size, 100, 32) == CIFAR_STOCK_STEM[size]


@pytest.mark.parametrize("kernel_size", slow_but(BY_KERNEL, 7, 28))
def test_parameters_by_kernel(kernel_size: int) -> None:
    assert counted("b0", 1000, 224, kernel_size=kernel_size)[0] == BY_KERNEL[kernel_size]


REPORT = {
    ("b0", ""): 4.103,
    ("b0", "kernel_size=57"): 4.256,
    ("b0", "branches=3+5+7"): 5.344,
    ("b0", "branches=5+7+9"): 5.46,
    ("b0", "branches=7+9+11"): 5.613,
    ("b0", "lka_activation=celu"): 4.103,
    ("b0", "unit=replk"): 5.803,
    ("b1", ""): 13.856,
    ("b1", "kernel_size=57"): 14.114,
    ("b1", "branches=5+7+9"): 18.191,
    ("b1", "norm=batch"): 13.873,
}
"""Millions of weights in the report that has these variants, which leave out the factors of layer scale."""


@pytest.mark.parametrize(("size", "word"), REPORT, ids=str)
def test_variants_have_the_weights_that_the_report_prints(size: str, word: str) -> None:
    name, _, value = word.partition("=")
    given = {name: int(value) if value.isdecimal() else value} if word else {}
    with shapes_only():
        net = van(size, num_classes=1000, **given)
    counted = sum(weight.numel() for key, weight in net.named_parameters() if "layer_scale" not in key)
    assert counted / 1e6 == pytest.approx(REPORT[size, word], abs=0.001)


def test_official_key_names() -> None:
    with shapes_only():
        keys = van("b0", num_classes=10).state_dict()
    for name in (
        "patch_embed1.proj.weight",
        "patch_embed4.norm.running_mean",
        "block1.0.layer_scale_1",
        "block3.4.attn.spatial_gating_unit.conv_spatial.bias",
        "block2.0.attn.proj_2.weight",
        "block4.1.mlp.dwconv.dwconv.weight",
        "norm4.bias",
        "head.weight",
    ):
        assert name in keys
    assert not [name for name in keys if "att." in name]


def test_the_stock_stem_leaves_one_position_and_the_small_one_sixteen() -> None:
    x = torch.zeros(2, 3, 32, 32, device="meta")
    with shapes_only():
        stock, small = (van("b0", num_classes=10, stem=stem) for stem in ("imagenet", "cifar"))
    assert [tuple(f.shape[-2:]) for f in stock.forward_stages(x)] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    assert [tuple(f.shape[-2:]) for f in small.forward_stages(x)] == [(32, 32), (16, 16), (8, 8), (4, 4)]


@pytest.mark.parametrize(
    "options",
    [
        {"branches": "5+7+9"},
        {"unit": "replk"},
        {"kernel_size": 57},
        {"norm": "batch", "lka_activation": "gelu"},
        {"gate": "sigmoid"},
        {"join": "sum", "layer_scale": 0.0},
    ],
)
def test_variants_train(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    net = van("b0", num_classes=3, in_channels=1, stem="cifar", **options)
    loss = net(torch.randn(2, 1, 8, 8)).square().mean()
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_places(placement: str) -> None:
    with shapes_only():
        net = van("b0", num_classes=3, att=Probe, placement=placement)
        net(torch.zeros(1, 3, 64, 64))
    probes = [module for module in net.modules() if isinstance(module, Probe)]
    assert all(probe.seen == 1 for probe in probes)
    assert len(probes) == {"stage_end": 4, "between_stages": 3}.get(placement, 13)
    dims = [256, 512, 640, 1024] if placement == "branch_mid" else [32, 64, 160, 256]
    assert sorted({probe.channels for probe in probes}) == dims[: 3 if placement == "between_stages" else 4]


def test_starting_values() -> None:
    torch.manual_seed(0)
    net = van("b0", num_classes=10)
    block = net.block3[0]
    assert block.attn.spatial_gating_unit.conv0.weight.std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.05)
    assert block.mlp.fc1.weight.std().item() == pytest.approx((2 / 640) ** 0.5, rel=0.02)
    assert net.head.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert block.layer_scale_1[0].item() == pytest.approx(0.01)
    rates = [module.rate for module in net.modules() if isinstance(module, DropPath)]
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.1)
    assert rates == sorted(rates)


def test_drop_path_keeps_the_mean_and_does_nothing_in_evaluation() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.3)
    x = torch.ones(20_000, 1, 1, 1)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(drop.eval()(x), x)
    with pytest.raises(ValueError, match="rate"):
        DropPath(1.0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("stem", "tiny"),
        ("stem", "auto"),
        ("placement", "end"),
        ("num_classes", 0),
        ("in_channels", 0),
        ("drop_path", 1.0),
        ("layer_scale", -1.0),
        ("kernel_size", 23),
        ("unit", "dense"),
        ("branches", "5+6"),
        ("norm", "layer"),
        ("join", "mean"),
    ],
)
def test_bad_value_is_refused_by_name(option: str, value: object) -> None:
    with shapes_only(), pytest.raises(ValueError, match=re.escape(f"{option}={value}")):
        van("b0", **({"num_classes": 10} | {option: value}))


def test_a_size_is_needed_and_there_are_seven() -> None:
    with pytest.raises(ValueError, match="no size"):
        VAN(stem="cifar", num_classes=10)
    sizes = [schema for schema in GROUPS["model"].values() if issubclass(schema, VANOptions)]
    assert [schema.name for schema in sizes] == [f"van_b{i}" for i in range(7)]
    assert [schema(stem="cifar").drop_path for schema in sizes] == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2]

"""ResNet: exact parameters and MACs, placements, starting values, features."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from exp.blocks.bam import BAM
from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.lka import LKA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.triplet import Triplet
from exp.blocks.triplet_ca import TripletCA
from exp.blocks.triplet_lka import TripletLKA
from exp.layers.options import RESNETS, ResNetOptions
from exp.layers.resnet import PLACEMENTS, ResNet, resnet18
from exp.tasks.count import count, shapes_only
from tests.conftest import slow_but
from tests.layers.probe import Probe

Factory = Callable[[int], nn.Module] | None
CIFAR = {"stem": "cifar", "num_classes": 100}
IMAGENET = {"stem": "imagenet", "num_classes": 1000}
PIXELS = {"cifar": 32, "imagenet": 224}


def build(depth: int, *, stem: str = "cifar", width: int = 64, zero_init_residual: bool = False, **more: Any) -> ResNet:
    """A ResNet from the options of its depth."""
    options = RESNETS[f"resnet{depth}"](stem=stem, width=width, zero_init_residual=zero_init_residual)
    return ResNet(options, **more)


# Measured on the official files: parameters and MACs (convolutions and linear layers, batch 1) of ResNet-18 and
# ResNet-50, CIFAR (100 classes, 32 px) and ImageNet (1000 classes, 224 px); attention at the end of every branch.
# fmt: off
TABLE: dict[str, tuple[Factory, tuple[int, ...]]] = {
    "none": (None, (
        11_220_132, 555_468_800, 23_705_252, 1_298_014_208, 11_689_512, 1_814_073_344, 25_557_032, 4_089_184_256)),
    "triplet k3": (partial(Triplet, kernel_size=3), (
        11_220_612, 556_107_584, 23_706_212, 1_302_814_304, 11_689_992, 1_815_255_476, 25_557_992, 4_097_691_398)),
    "triplet k5": (partial(Triplet, kernel_size=5), (
        11_221_380, 557_243_200, 23_707_748, 1_311_347_808, 11_690_760, 1_817_357_044, 25_559_528, 4_112_815_206)),
    "triplet k7": (Triplet, (
        11_222_532, 558_946_624, 23_710_052, 1_324_148_064, 11_691_912, 1_820_509_396, 25_561_832, 4_135_500_918)),
    "triplet k7, 3 pools": (partial(Triplet, pool="avg+max+median"), (
        11_223_708, 560_685_536, 23_712_404, 1_337_214_992, 11_693_088, 1_823_727_422, 25_564_184, 4_158_659_249)),
    "triplet k7, conv bias": (partial(Triplet, bias=True), (
        11_222_556, 558_946_624, 23_710_100, 1_324_148_064, 11_691_936, 1_820_509_396, 25_561_880, 4_135_500_918)),
    "CBAM": (CBAM, (
        11_310_012, 555_909_440, 26_237_844, 1_303_487_840, 11_779_392, 1_815_063_764, 28_089_624, 4_095_573_110)),
    "CBAM as timm": (partial(CBAM, bias=False), (
        11_307_972, 555_909_440, 26_221_796, 1_303_487_840, 11_777_352, 1_815_063_764, 28_073_576, 4_095_573_110)),
    "SE": (SqueezeExcite, (
        11_310_244, 555_556_864, 26_236_244, 1_300_529_152, 11_779_624, 1_814_161_408, 28_088_024, 4_091_699_200)),
    "ECA": (ECA, (
        11_220_168, 555_478_144, 23_705_338, 1_298_102_016, 11_689_548, 1_814_082_688, 25_557_118, 4_089_272_064)),
    "CA r32": (CoordinateAttention, (
        11_294_868, 556_124_160, 25_623_084, 1_313_480_704, 11_764_248, 1_815_220_224, 27_474_864, 4_116_250_624)),
    "CA r16": (partial(CoordinateAttention, reduction=16), (
        11_356_452, 556_517_376, 27_510_708, 1_328_947_200, 11_825_832, 1_815_908_352, 29_362_488, 4_143_316_992)),
    "LKA": (LKA, (
        12_064_292, 607_209_472, 44_987_812, 2_505_121_792, 12_533_672, 1_972_529_152, 46_839_592, 7_785_951_232)),
    # The seed's block, less its 101 dead parameters in each of 8 or 16 blocks.
    "TripletCA": (partial(TripletCA, bias=True), (
        11_358_876 - 808, 559_728_640, 27_515_556 - 1616, 1_354_637_312,
        11_828_256 - 808, 1_821_528_064, 29_367_336 - 1616, 4_188_274_688)),
    "TripletLKA": (TripletLKA, (
        12_065_892, 610_420_736, 44_991_012, 2_530_811_904, 12_535_272, 1_978_148_864, 46_842_792, 7_830_908_928)),
}
DEEPER = [
    (34, None, 21_797_672, 3_663_761_408),
    (101, None, 44_549_160, 7_801_405_440),
    (34, Triplet, 21_802_472, 3_676_359_798),
    (101, Triplet, 44_559_060, 7_895_816_190),
]
# fmt: on
# In 1e9 operations, the convention of the triplet attention paper.
PUBLISHED = [
    (50, None, 4.1219),
    (50, Triplet, 4.1692),
    (50, partial(Triplet, kernel_size=3), 4.1314),
    (18, partial(Triplet, kernel_size=3), 1.8235),
]


def on_meta(depth: int, att: Factory, *, stem: str, num_classes: int) -> ResNet:
    with shapes_only():
        return build(depth, num_classes=num_classes, stem=stem, att=att)


@pytest.mark.parametrize("name", slow_but(TABLE, "none", "triplet k7", "CBAM", "SE", "CA r32", "LKA", "TripletCA"))
def test_parameters_and_macs_to_the_last_digit(name: str) -> None:
    att, expected = TABLE[name]
    counted = []
    for options in (CIFAR, IMAGENET):
        for depth in (18, 50):
            pixels = PIXELS[options["stem"]]
            counts = count(on_meta(depth, att, **options), (1, 3, pixels, pixels))
            counted += [counts.params, counts.macs]
    assert tuple(counted) == expected


def test_bam_between_the_stages() -> None:
    for depth, expected in ((18, (11_712_503, 1_819_224_000)), (50, (25_915_099, 4_171_331_328))):
        with shapes_only():
            net = build(depth, num_classes=1000, stem="imagenet", att=BAM, placement="between_stages")
        counts = count(net, (1, 3, 224, 224))
        assert (counts.params, counts.macs) == expected


def test_clean_triplet_ca_without_bias() -> None:
    assert count(on_meta(18, TripletCA, **CIFAR), (1, 3, 32, 32)).params == 11_358_052


@pytest.mark.parametrize(("depth", "att", "params", "macs"), DEEPER)
def test_deeper_networks(depth: int, att: Factory, params: int, macs: int) -> None:
    counts = count(on_meta(depth, att, **IMAGENET), (1, 3, 224, 224))
    assert (counts.params, counts.macs) == (params, macs)


@pytest.mark.parametrize(("depth", "att", "gflops"), PUBLISHED)
def test_published_convention(depth: int, att: Factory, gflops: float) -> None:
    counts = count(on_meta(depth, att, **IMAGENET), (1, 3, 224, 224))
    assert round(counts.gflops_published, 4) == gflops


def executed(net: nn.Module, x: Tensor) -> list[str]:
    """Names of the leaf modules in the order they ran."""
    order: list[str] = []
    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _m, _i, _o, name=name: order.append(name))
    net(x)
    return order


BASIC = ["conv1", "bn1", "relu", "conv2", "bn2", "relu"]
BOTTLENECK = ["conv1", "bn1", "relu", "conv2", "bn2", "relu", "conv3", "bn3", "relu"]
PLACED = [
    (18, "block_start", ["att", *BASIC], 64),
    (18, "branch_mid", [*BASIC[:3], "att", *BASIC[3:]], 64),
    (18, "branch_end", [*BASIC[:5], "att", *BASIC[5:]], 64),
    (18, "block_end", [*BASIC, "att"], 64),
    (18, "stage_end", BASIC, None),
    (50, "block_start", ["att", *BOTTLENECK], 256),
    (50, "branch_mid", [*BOTTLENECK[:6], "att", *BOTTLENECK[6:]], 64),
    (50, "branch_end", [*BOTTLENECK[:8], "att", *BOTTLENECK[8:]], 256),
    (50, "block_end", [*BOTTLENECK, "att"], 256),
    (50, "stage_end", BOTTLENECK, None),
]


@pytest.mark.parametrize(("depth", "placement", "expected", "channels"), PLACED)
def test_placement_in_a_block(depth: int, placement: str, expected: list[str], channels: int | None) -> None:
    with shapes_only():
        net = build(depth, num_classes=10, att=Probe, placement=placement)
        block = net.layer1[1]
        x = torch.empty(1, net.stage_channels[0], 4, 4)
    assert executed(block, x) == expected
    assert (block.att.channels if block.att is not None else None) == channels


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_number_of_attention_blocks(depth: int, placement: str) -> None:
    with shapes_only():
        net = build(depth, num_classes=10, att=Probe, placement=placement)
        assert net(torch.empty(1, 3, 32, 32)).shape == (1, 10)
    probes = [module for module in net.modules() if isinstance(module, Probe)]
    assert len(probes) == {"stage_end": 4, "between_stages": 3}.get(placement, {18: 8, 50: 16}[depth])
    if placement == "stage_end":
        assert tuple(probe.channels for probe in probes) == net.stage_channels
        for stage in net.stages:
            assert isinstance(stage[-1], Probe)


def test_block_start_leaves_the_shortcut_alone() -> None:
    class Zero(nn.Module):
        def __init__(self, _channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x * 0

    net = build(18, num_classes=10, width=8, att=Zero, placement="block_start").eval()
    x = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(net.layer1[0](x), x.relu())


def test_key_names_are_torchvisions() -> None:
    with shapes_only():
        keys = {depth: list(build(depth, num_classes=1000, stem="imagenet").state_dict()) for depth in (18, 50)}
    assert {depth: len(names) for depth, names in keys.items()} == {18: 122, 50: 320}
    for name in ("conv1.weight", "bn1.running_var", "layer4.1.conv2.weight", "layer2.0.downsample.0.weight", "fc.bias"):
        assert name in keys[18]
    assert "layer3.5.conv3.weight" in keys[50]


def test_starting_values() -> None:
    torch.manual_seed(0)
    net = build(18, num_classes=10, width=16, att=partial(Triplet, fusion="linear"))
    assert sum(int((m.weight == 0).all()) for m in net.modules() if isinstance(m, nn.BatchNorm2d)) == 8
    for block in (*net.layer1, *net.layer4):
        assert block.att.hw.bn.weight.item() == 0
        assert block.att.fusion.weight[0].item() == pytest.approx(1 / 3)
    weight = net.layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert net.fc.bias.abs().max() == 0
    zero = build(50, num_classes=10, width=8, zero_init_residual=True)
    assert all(block.bn3.weight.abs().max() == 0 for stage in zero.stages for block in stage)


@pytest.mark.parametrize(
    ("stem", "in_channels", "size", "strides"),
    [("cifar", 1, (48, 48), (1, 2, 4, 8)), ("imagenet", 3, (96, 64), (4, 8, 16, 32)), ("cifar", 3, (33, 17), None)],
)
def test_stage_features(stem: str, in_channels: int, size: tuple[int, int], strides: tuple[int, ...] | None) -> None:
    net = build(18, num_classes=7, in_channels=in_channels, stem=stem, width=8).eval()
    x = torch.randn(2, in_channels, *size)
    features = net.forward_stages(x)
    assert net(x).shape == (2, 7)
    assert torch.equal(net.forward_features(x), features[-1])
    assert tuple(f.shape[1] for f in features) == net.stage_channels == (8, 16, 32, 64)
    if strides is not None:
        assert [tuple(f.shape[2:]) for f in features] == [(size[0] // s, size[1] // s) for s in strides]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_parameter_trains_in_channels_last(placement: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = build(18, num_classes=5, width=8, att=TripletCA, placement=placement)
    net = net.to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 16, 16).to(memory_format=torch.channels_last)
    nn.functional.cross_entropy(net(x), torch.arange(4)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_classes", 0),
        ("in_channels", 0),
        ("stem", "tiny"),
        ("stem", "auto"),
        ("width", 0),
        ("placement", "end"),
    ],
)
def test_bad_value_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option}={value}"):
        build(18, **({"num_classes": 10} | {option: value}))


def test_a_stem_that_is_still_open_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="give stem=cifar or stem=imagenet"):
        resnet18(num_classes=10)


def test_a_depth_is_needed_and_has_to_be_known() -> None:
    class ResNet20Options(ResNetOptions):
        depth = 20

    with pytest.raises(ValueError, match="depth=20: not one of 18, 34, 50, 101"):
        ResNet(ResNet20Options(stem="cifar"), num_classes=10)
    with pytest.raises(ValueError, match="depth=None"):
        ResNet(stem="cifar", num_classes=10)


def test_options_come_as_an_object_or_by_name() -> None:
    with shapes_only():
        one = resnet18(num_classes=10, stem="cifar", width=8)
        two = build(18, num_classes=10, width=8)
    assert {name: value.shape for name, value in one.state_dict().items()} == {
        name: value.shape for name, value in two.state_dict().items()
    }
    with pytest.raises(TypeError, match="not both: width"):
        ResNet(RESNETS["resnet18"](stem="cifar"), num_classes=10, width=8)

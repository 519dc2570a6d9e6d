"""Res2Net-50: exact parameters and MACs, the chain of groups, places of attention, features."""

import pytest
import torch
from torch import Tensor, nn

from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.triplet import Triplet
from exp.layers.resnet import PLACEMENTS
from exp.tasks.attention.models.res2net import Res2Net, Res2NetBlock
from exp.tasks.count import count, shapes_only
from tests.conftest import slow_but
from tests.layers.probe import Probe

# Counted on timm's models of the same names; the paper prints 25.70 M and 4.2 G for 26w4s.
PARAMETERS = {(26, 4): 25_699_120, (26, 6): 37_051_448, (48, 2): 25_287_304, (14, 8): 25_059_816}


@pytest.mark.parametrize(("base_width", "scale"), slow_but(PARAMETERS, (26, 4)))
def test_parameters_to_the_last_digit(base_width: int, scale: int) -> None:
    with shapes_only():
        net = Res2Net(num_classes=1000, stem="imagenet", base_width=base_width, scale=scale)
    counts = count(net, (1, 3, 224, 224))
    assert counts.params == PARAMETERS[base_width, scale]
    if (base_width, scale) == (26, 4):
        assert counts.macs == 4_255_166_464


def test_attention_at_the_end_of_every_branch() -> None:
    with shapes_only():
        net = Res2Net(num_classes=1000, stem="imagenet", att=Triplet)
    assert count(net, (1, 3, 224, 224)).params == PARAMETERS[26, 4] + 16 * 300


def chained(block: Res2NetBlock, x: Tensor, *, first: bool) -> Tensor:
    """The block group by group, as the paper's figure has it."""
    y = block.bn1(block.conv1(x)).relu()
    wide = y.shape[1] // 4
    one, two, three, four = (y[:, i * wide : (i + 1) * wide] for i in range(4))
    one = block.bns[0](block.convs[0](one)).relu()
    two = block.bns[1](block.convs[1](two if first else two + one)).relu()
    three = block.bns[2](block.convs[2](three if first else three + two)).relu()
    if first:
        four = nn.functional.avg_pool2d(four, 3, block.convs[0].stride[0], 1)
    branch = block.bn3(block.conv3(torch.cat([one, two, three, four], 1)))
    return (branch + (block.downsample(x) if first else x)).relu()


@pytest.mark.parametrize(("in_channels", "stride", "first"), [(64, 1, False), (16, 1, True), (64, 2, True)])
def test_the_chain_of_groups(in_channels: int, stride: int, first: bool) -> None:
    torch.manual_seed(0)
    block = Res2NetBlock(in_channels, 16, stride, None, "branch_end", base_width=26, scale=4).eval()
    assert block.group == 6
    x = torch.randn(2, in_channels, 8, 6)
    with torch.no_grad():
        torch.testing.assert_close(block(x), chained(block, x, first=first))
    assert block(x).shape == (2, 64, 8 // stride, 6 // stride)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_places(placement: str) -> None:
    with shapes_only():
        net = Res2Net(num_classes=10, stem="cifar", att=Probe, placement=placement)
        assert net(torch.empty(1, 3, 32, 32)).shape == (1, 10)
    channels = [module.channels for module in net.modules() if isinstance(module, Probe)]
    assert len(channels) == {"stage_end": 4, "between_stages": 3}.get(placement, 16)
    expected = {"branch_mid": [104, 104], "branch_end": [256, 256], "block_start": [64, 256], "block_end": [256, 256]}
    assert channels[:2] == expected.get(placement, [256, 512])


def test_stems_features_and_grey_images() -> None:
    for stem, side in (("cifar", 4), ("imagenet", 1)):
        net = Res2Net(num_classes=7, in_channels=1, stem=stem, width=8).eval()
        x = torch.randn(2, 1, 32, 32)
        features = net.forward_stages(x)
        assert net(x).shape == (2, 7)
        assert tuple(f.shape[1] for f in features) == net.stage_channels == (32, 64, 128, 256)
        assert features[-1].shape[2:] == (side, side)


def test_every_parameter_trains_in_channels_last() -> None:
    torch.manual_seed(0)
    net = Res2Net(num_classes=4, stem="cifar", width=8, att=CoordinateAttention).to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 16, 16).to(memory_format=torch.channels_last)
    nn.functional.cross_entropy(net(x), torch.arange(4)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_starting_values() -> None:
    net = Res2Net(num_classes=4, stem="cifar", width=8, zero_init_residual=True)
    assert all(block.bn3.weight.abs().max() == 0 for stage in net.stages for block in stage)
    assert all(block.bns[0].weight.min() == 1 for stage in net.stages for block in stage)
    weight = net.layer4[1].convs[1].weight
    assert weight.std().item() == pytest.approx((2 / (26 * 9)) ** 0.5, rel=0.1)


def test_a_tiny_network_keeps_a_channel_a_group() -> None:
    assert Res2Net(num_classes=2, stem="cifar", width=1).layer1[0].group == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("base_width", 0), ("scale", 1), ("width", 0), ("placement", "end"), ("stem", "auto"), ("num_classes", 0)],
)
def test_bad_value_is_refused_by_name(option: str, value: object) -> None:
    with shapes_only(), pytest.raises(ValueError, match=f"{option}={value}"):
        Res2Net(**({"num_classes": 10, "stem": "cifar"} | {option: value}))

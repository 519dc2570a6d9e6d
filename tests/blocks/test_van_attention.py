"""VAN's attention and its variants against their definitions, written out."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.lka import LKA
from exp.blocks.replk import RepLKBlock
from exp.blocks.van_attention import ParallelLKA, VANAttention
from tests.blocks.battery import randomise


def built(**given: object) -> VANAttention:
    torch.manual_seed(0)
    block = VANAttention(8, **given).double().eval()
    randomise(block)
    return block


def large_kernel(unit: nn.Module, x: Tensor, dilation: int) -> Tensor:
    """A depthwise, a dilated depthwise and a plain convolution, each with what is behind it, times x."""
    assert isinstance(unit, LKA)
    side = unit.conv_spatial.kernel_size[0]
    deep = F.conv2d(x, unit.conv0.weight, unit.conv0.bias, padding="same", groups=8)
    deep = unit.act(unit.norm0(deep))
    padding = dilation * (side - 1) // 2
    weight, bias = unit.conv_spatial.weight, unit.conv_spatial.bias
    deep = F.conv2d(deep, weight, bias, padding=padding, dilation=dilation, groups=8)
    deep = unit.act(unit.norm_spatial(deep))
    return x * unit.norm1(F.conv2d(deep, unit.conv1.weight, unit.conv1.bias))


def test_branches_are_whole_large_kernels_side_by_side() -> None:
    block = built(branches="5+7+9", lka_activation="gelu")
    x = torch.randn(2, 8, 13, 11, dtype=torch.float64)
    assert isinstance(block.spatial_gating_unit, ParallelLKA)
    units = list(block.spatial_gating_unit.units)
    assert [unit.conv_spatial.kernel_size[0] for unit in units if isinstance(unit, LKA)] == [5, 7, 9]
    y = F.gelu(F.conv2d(x, block.proj_1.weight, block.proj_1.bias))
    joined = torch.cat([large_kernel(unit, y, 3) for unit in units], 1)
    torch.testing.assert_close(block(x), x + F.conv2d(joined, block.proj_2.weight, block.proj_2.bias))


def test_batch_norm_follows_each_of_the_three_convolutions() -> None:
    block = built(kernel_size=57, norm="batch")
    unit = block.spatial_gating_unit
    assert sum(isinstance(module, nn.BatchNorm2d) for module in unit.modules()) == 3
    x = torch.randn(2, 8, 13, 11, dtype=torch.float64)
    y = F.gelu(F.conv2d(x, block.proj_1.weight, block.proj_1.bias))
    expected = x + F.conv2d(large_kernel(unit, y, 5), block.proj_2.weight, block.proj_2.bias)
    torch.testing.assert_close(block(x), expected)


def test_replknets_block_stands_in_place_of_the_large_kernel() -> None:
    block = built(unit="replk")
    unit = block.spatial_gating_unit
    assert isinstance(unit, RepLKBlock)
    assert sum(weight.numel() for weight in unit.parameters()) == 2 * 8 * 8 + 968 * 8
    x = torch.randn(2, 8, 13, 40, dtype=torch.float64)
    y = F.gelu(F.conv2d(x, block.proj_1.weight, block.proj_1.bias))
    deep = F.relu(unit.pw1[1](F.conv2d(unit.prelkb_bn(y), unit.pw1[0].weight)))
    deep = F.relu(F.conv2d(deep, unit.large_kernel.weight, unit.large_kernel.bias, padding=15, groups=8))
    y = y + unit.pw2[1](F.conv2d(deep, unit.pw2[0].weight))
    torch.testing.assert_close(block(x), x + F.conv2d(y, block.proj_2.weight, block.proj_2.bias))


def test_replknets_block_leaves_its_branch_out_for_samples_in_training() -> None:
    torch.manual_seed(0)
    unit = RepLKBlock(4)
    x = torch.randn(64, 4, 5, 5)
    alone = (unit(x) == x).flatten(1).all(1)
    assert 5 < alone.sum() < 40
    assert not (unit.eval()(x) == x).flatten(1).all(1).any()

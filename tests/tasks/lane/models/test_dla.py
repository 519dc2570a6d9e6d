import pytest
import torch

from exp.tasks.lane.models.dla import DLA34


def test_parameters_are_those_of_dla34() -> None:
    """15,742,104 with a classifier of 1000 classes, as timm counts."""
    assert sum(p.numel() for p in DLA34().parameters()) + 512 * 1000 + 1000 == 15_742_104


@pytest.mark.parametrize("size", [(64, 96), (96, 160)])
def test_maps_have_the_strides_of_a_resnets_stages(size: tuple[int, int]) -> None:
    net = DLA34(width=8).eval()
    maps = net.forward_stages(torch.randn(2, 3, *size))
    shapes = [(2, channels, size[0] // stride, size[1] // stride) for channels, stride in
              zip((8, 16, 32, 64), (4, 8, 16, 32), strict=True)]  # fmt: skip
    assert [tuple(one.shape) for one in maps] == shapes
    assert net.stage_channels == (8, 16, 32, 64)


def test_every_parameter_learns() -> None:
    net = DLA34(width=8)
    sum(one.square().mean() for one in net.forward_stages(torch.randn(2, 3, 64, 64))).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []

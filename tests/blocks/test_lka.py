"""LKA's true receptive field and its parameters by nominal K."""

import pytest
import torch

from exp.blocks.lka import LKA


@pytest.mark.parametrize(("kernel_size", "field"), [(7, 9), (14, 17), (21, 23), (28, 31), (57, 57)])
def test_true_receptive_field(kernel_size: int, field: int) -> None:
    lka = LKA(2, kernel_size=kernel_size).double()
    with torch.no_grad():
        for parameter in lka.parameters():
            parameter.fill_(1)
    x = torch.zeros(1, 2, 61, 61, dtype=torch.float64, requires_grad=True)
    lka.attention(x)[0, 0, 30, 30].backward()
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    columns = x.grad[0, 0].abs().sum(0).nonzero().flatten()
    for positions in (rows, columns):
        assert positions.max() - positions.min() + 1 == field
        assert positions.max() - 30 == 30 - positions.min()  # centred, also where the dilated kernel is even


# Sums over VAN-B0's attentions (widths 32, 64, 160, 256 at depths 3, 3, 5, 2), less the net's K-independent rest.
@pytest.mark.parametrize(("kernel_size", "net"), [(7, 4_027_400), (14, 4_067_400), (21, 4_105_800), (28, 4_144_200)])
def test_parameters_by_kernel_meet_van_b0(kernel_size: int, net: int) -> None:
    widths = [32] * 3 + [64] * 3 + [160] * 5 + [256] * 2

    def total(k: int) -> int:
        return sum(sum(p.numel() for p in LKA(c, kernel_size=k).parameters()) for c in widths)

    assert total(kernel_size) - total(21) == net - 4_105_800

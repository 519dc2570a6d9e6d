"""Parameters a module, by channel count (facts: measured on the official files)."""

from collections.abc import Callable

import pytest
from torch import nn

from exp.blocks.bam import BAM
from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.lka import LKA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.step2 import Step2
from exp.blocks.triplet import Triplet
from exp.blocks.triplet_ca import TripletCA
from exp.blocks.triplet_lka import TripletLKA
from exp.blocks.van_attention import VANAttention
from exp.tasks.count import shapes_only

WIDTHS = (64, 128, 256, 512, 1024, 2048)
TABLE: list[tuple[Callable[[int], nn.Module], tuple[int, ...]]] = [
    (lambda c: Triplet(c), (300,) * 6),
    (lambda c: Triplet(c, kernel_size=3), (60,) * 6),
    (lambda c: Triplet(c, kernel_size=5), (156,) * 6),
    (lambda c: Triplet(c, bias=True), (303,) * 6),
    (lambda c: Triplet(c, bias=True, pool="avg+max+median"), (450,) * 6),
    (lambda c: Triplet(c, spatial=False), (200,) * 6),
    (lambda c: Triplet(c, fusion="linear"), (303,) * 6),
    (lambda c: Triplet(c, fusion="conv"), tuple(300 + 3 * c for c in WIDTHS)),
    (lambda c: CoordinateAttention(c), (1_688, 3_352, 6_680, 25_648, 100_448, 397_504)),
    (lambda c: CoordinateAttention(c, reduction=16), (1_688, 3_352, 12_848, 50_272, 198_848, 790_912)),
    (lambda c: CBAM(c), (680, 2_284, 8_564, 33_412, 132_260, 526_564)),
    (lambda c: LKA(c), (9_024, 26_240, 85_248, 301_568, 1_127_424, 4_352_000)),
    (lambda c: VANAttention(c), (17_344, 59_264, 216_832, 826_880, 3_226_624, 12_744_704)),
    (lambda c: BAM(c), (1_173, 4_457, 17_361, 68_513, 272_193, 1_085_057)),
    (lambda c: Step2(c), (3_185, 6_837, 17_213, 50_253, 165_485, 592_557)),
    (lambda c: SqueezeExcite(c), (1_096, 2_184, 8_464, 33_312, 132_160, 526_464)),
    (lambda c: ECA(c), (3, 5, 5, 5, 5, 7)),
    # The seed builds 101 more that never get a gradient.
    (lambda c: TripletCA(c, bias=True), tuple(n - 101 for n in (1_991, 3_655, 13_151, 50_575, 199_151, 791_215))),
    (lambda c: TripletLKA(c), (9_224, 26_440, 85_448, 301_768, 1_127_624, 4_352_200)),
]


@pytest.mark.parametrize(("build", "expected"), TABLE)
def test_parameters_by_width(build: Callable[[int], nn.Module], expected: tuple[int, ...]) -> None:
    with shapes_only():
        counts = tuple(sum(p.numel() for p in build(c).parameters()) for c in WIDTHS)
    assert counts == expected

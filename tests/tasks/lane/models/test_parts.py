"""Pyramid, positions, visual tokens, pooling and decoder blocks of the lane model."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.options.errors import ConfigError
from exp.tasks.lane.models.decoder import Cache, LaneBlock, Memory, uniformity
from exp.tasks.lane.models.fpn import FPN
from exp.tasks.lane.models.position2d import sincos2d
from exp.tasks.lane.models.token_pool import TokenPool
from exp.tasks.lane.models.visual_tokens import VisualTokens


def maps(batch: int = 2) -> list[Tensor]:
    """C3, C4, C5 of a 72x104 image, whose sides are no multiples of 32."""
    torch.manual_seed(0)
    return [torch.randn(batch, 8 * 2**i, math.ceil(72 / 8 / 2**i), math.ceil(104 / 8 / 2**i)) for i in range(3)]


@pytest.mark.parametrize(("levels", "laterals"), [("p5", 1), ("p4", 2), ("p3", 3), ("p4+p5", 2), ("p3+p4+p5", 3)])
def test_fpn_builds_what_is_used(levels: str, laterals: int) -> None:
    names = levels.split("+")
    fpn = FPN([8, 16, 32], 12, names)
    pyramid = fpn(maps())
    sizes = {"p3": (9, 13), "p4": (5, 7), "p5": (3, 4)}
    assert [tuple(one.shape) for one in pyramid] == [(2, 12, *sizes[name]) for name in names]
    assert len(fpn.laterals) == laterals
    sum(one.sum() for one in pyramid).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in fpn.parameters())


def test_fpn_refuses_an_unknown_level() -> None:
    with pytest.raises(ValueError, match="levels=p6: not one of p3, p4, p5"):
        FPN([8, 16, 32], 12, ["p6"])


def test_positions_differ_and_share_a_frame() -> None:
    fine, coarse = sincos2d(8, 12, 32), sincos2d(4, 6, 32, step=2.0)
    assert fine.shape == (96, 32)
    assert torch.cdist(fine, fine).fill_diagonal_(9).min() > 0.05
    # The middle of a coarse cell lies between the middles of four fine ones.
    block = fine.view(8, 12, 32)[:2, :2].reshape(4, 32).mean(0)
    assert F.cosine_similarity(block, coarse[0], dim=0) > 0.99
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos2d(2, 2, 6)


@pytest.mark.parametrize(("subsample", "counts"), [(False, [117, 35, 12]), (True, [35, 12, 12])])
def test_tokens_of_each_level(subsample: bool, counts: list[int]) -> None:
    levels = ["p3", "p4", "p5"]
    visual = VisualTokens(fpn_channels=12, dim=16, levels="p3+p4+p5", subsample=subsample)
    tokens = visual(FPN([8, 16, 32], 12, levels)(maps()))
    assert [some.shape[1] for some in tokens] == counts  # P3 and P4 are thinned, P5 is whole


def test_full_size_counts_are_those_of_the_source() -> None:
    def count(subsample: bool) -> int:
        visual = VisualTokens(fpn_channels=4, dim=4, levels="p3+p4+p5", subsample=subsample)
        return sum(some.shape[1] for some in visual([torch.zeros(1, 4, 40 // 2**i, 100 // 2**i) for i in range(3)]))

    assert (count(False), count(True)) == (5250, 1500)


def test_encoder_switches() -> None:
    def visual(**options: Any) -> VisualTokens:
        return VisualTokens(fpn_channels=12, dim=16, levels="p5", **options)

    features = [100 * torch.randn(1, 12, 4, 6) + 50]
    torch.manual_seed(0)
    plain = visual(position_strength=0)
    small = visual(position_strength=0, encoder_scale=0.1)
    small.load_state_dict(plain.state_dict())
    level = plain.level_embedding[0]
    assert torch.allclose(small(features)[0] - level, 0.1 * (plain(features)[0] - level), atol=1e-6)
    strong = visual(position_strength=2.0)
    strong.load_state_dict(plain.state_dict())
    assert torch.allclose(strong(features)[0] - plain(features)[0], 2 * sincos2d(4, 6, 16, step=4.0), atol=1e-5)
    standard = visual(encoder="standardised")
    assert torch.allclose(standard(features)[0], standard([features[0] * 7 - 3])[0], atol=1e-4)
    residual = visual(encoder="residual")
    assert residual(features)[0].std() > 5 * plain(features)[0].std()
    with pytest.raises(ConfigError, match="encoder=none: not one of layernorm, standardised, residual"):
        visual(encoder="none")


def test_pooling_ignores_hidden_tokens() -> None:
    torch.manual_seed(0)
    pool = TokenPool(16, 5, 4)
    tokens = torch.randn(2, 9, 16)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[:, 6:] = False
    changed = tokens.clone()
    changed[:, 6:] += 10
    assert pool(tokens).shape == (2, 5, 16)
    assert torch.allclose(pool(tokens, mask), pool(changed, mask), atol=1e-6)
    assert not torch.allclose(pool(tokens), pool(changed), atol=1e-3)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_block_is_causal_and_lanes_are_apart(norm: str) -> None:
    torch.manual_seed(0)
    block = LaneBlock(dim=16, heads=4, hidden=32, norm=norm).eval()
    memory = block.memory(torch.randn(2, 7, 16), None)
    x = torch.randn(2, 3, 6, 16)
    before = block(x, memory)
    changed = x.clone()
    changed[:, 1, 4] += torch.randn(16)
    difference = (block(changed, memory) - before).abs().amax(-1)
    assert (difference[:, 1, 4:] > 1e-4).all()
    difference[:, 1, 4:] = 0
    assert difference.max() < 1e-6


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_cached_rows_are_those_of_the_whole(norm: str) -> None:
    torch.manual_seed(0)
    block = LaneBlock(dim=16, heads=4, hidden=32, norm=norm).eval()
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0, 5:] = False
    memory = block.memory(torch.randn(2, 7, 16), mask)
    x = torch.randn(2, 3, 6, 16)
    cache = Cache(torch.empty(6, 4, 6, 4), torch.empty(6, 4, 6, 4))
    rows = [block(x[:, :, row : row + 1], memory, cache=cache, row=row) for row in range(6)]
    assert torch.allclose(torch.cat(rows, 2), block(x, memory), atol=1e-5)


def test_uniformity_is_one_for_equal_keys_and_low_for_a_peak() -> None:
    query = torch.randn(2, 4, 5, 8)
    keys = torch.zeros(2, 4, 10, 8)
    assert uniformity(query, Memory(keys, keys, None)) == pytest.approx(1.0)
    peak = keys.clone()
    peak[:, :, 0] = 100 * query[:, :, 0]
    assert uniformity(query[:, :, :1], Memory(peak, keys, None)) < 0.05
    mask = torch.ones(2, 1, 1, 10, dtype=torch.bool)
    mask[0, ..., 3:] = False
    assert uniformity(query, Memory(keys, keys, mask)) == pytest.approx(1.0)  # of the tokens that can be seen


def test_the_probe_measures_the_same_pass() -> None:
    torch.manual_seed(0)
    block = LaneBlock(dim=16, heads=4, hidden=32).eval()
    memory = block.memory(torch.randn(2, 7, 16), None)
    x = torch.randn(2, 3, 6, 16)
    probe: list[Tensor] = []
    assert torch.equal(block(x, memory, probe=probe), block(x, memory))
    assert 0 < float(probe[0]) <= 1


def test_dim_has_to_divide() -> None:
    with pytest.raises(ValueError, match="dim=10 is no multiple of heads=4"):
        LaneBlock(dim=10, heads=4, hidden=8)

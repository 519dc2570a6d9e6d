"""Horizontal pooling, heads of parts, joined branches, the encoder over time."""

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from exp.tasks.gait.models.frame_encoder import FrameEncoder
from exp.tasks.gait.models.horizontal import HorizontalPooling
from exp.tasks.gait.models.part_head import PartHead, SeparateBNNeck, SeparateFC
from exp.tasks.gait.models.two_branches import TwoBranches
from exp.tasks.gait.options import BaseAttentionOptions, Fusion, PartPool, Positions


def test_sixteen_strips_of_sixteen_rows_are_the_rows() -> None:
    x = torch.randn(2, 3, 16, 11)
    torch.testing.assert_close(HorizontalPooling(16)(x), x.mean(3) + x.amax(3))
    torch.testing.assert_close(HorizontalPooling(16, "avg")(x), x.mean(3))
    torch.testing.assert_close(HorizontalPooling(16, "max")(x), x.amax(3))


@pytest.mark.parametrize("pool", get_args(PartPool))
def test_strips_that_do_not_divide_the_rows_are_adaptive(pool: PartPool) -> None:
    x = torch.randn(2, 3, 7, 5)
    mean, maximum = F.adaptive_avg_pool2d(x, (3, 1))[..., 0], F.adaptive_max_pool2d(x, (3, 1))[..., 0]
    expected = {"mean+max": mean + maximum, "avg": mean, "max": maximum}[pool]
    torch.testing.assert_close(HorizontalPooling(3, pool)(x), expected)


def test_one_strip_is_the_whole_body_and_too_many_are_refused() -> None:
    x = torch.randn(2, 3, 8, 4)
    torch.testing.assert_close(HorizontalPooling(1, "max")(x)[..., 0], x.amax((2, 3)))
    with pytest.raises(ValueError, match="bins=9 but the maps have 8 rows"):
        HorizontalPooling(9)(x)


def test_separate_maps_are_a_matrix_a_part() -> None:
    fc = SeparateFC(5, 4, 3)
    x = torch.randn(2, 5, 3)
    expected = torch.stack([x[:, :, part] @ fc.weight[part] for part in range(3)], dim=2)
    torch.testing.assert_close(fc(x), expected)


def test_logits_are_cosines_after_one_batch_norm() -> None:
    neck = SeparateBNNeck(4, 3, 7)
    x = torch.randn(6, 4, 3)
    logits = neck(x)
    normed = neck.norm(x.flatten(1)).view(6, 4, 3)
    for part in range(3):
        expected = F.cosine_similarity(normed[:, None, :, part], neck.weight[part].T[None], dim=2)
        torch.testing.assert_close(logits[:, :, part], expected)
    assert sum(p.numel() for p in SeparateBNNeck(256, 16, 74).parameters()) == 311_296


def test_a_head_without_matrices_passes_the_parts_on() -> None:
    x = torch.randn(6, 4, 3)
    embedding, logits = PartHead(4, 4, 3, 7, separate_fc=False)(x)
    assert embedding is x
    assert logits.shape == (6, 7, 3)
    with pytest.raises(ValueError, match="separate_fc is off"):
        PartHead(4, 5, 3, 7, separate_fc=False)


@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_both_branches_count(fusion: Fusion) -> None:
    torch.manual_seed(0)
    join = TwoBranches(3, 4, 5, fusion)
    first, second = torch.randn(2, 3, 4, 2), torch.randn(2, 4, 4, 2)
    out = join(first, second)
    assert out.shape == (2, 5, 4, 2)
    assert not torch.allclose(out, join(first + 1, second))
    assert not torch.allclose(out, join(first, second + 1))


def test_attention_is_a_weighted_mean_and_gate_a_sigmoid() -> None:
    torch.manual_seed(0)
    join = TwoBranches(3, 4, 5, "attention")
    assert isinstance(join.score, nn.Conv2d)
    first, second = torch.randn(2, 3, 4, 2), torch.randn(2, 4, 4, 2)
    nn.init.zeros_(join.score.weight)
    nn.init.constant_(join.score.bias, 0.0)
    torch.testing.assert_close(join(first, second), (join.project[0](first) + join.project[1](second)) / 2)
    gate = TwoBranches(256, 512, 512, "gate")
    assert sum(p.numel() for p in gate.parameters()) == 768 * 384 + 384 + 384 * 768 + 768 + 768 * 512 + 512
    assert isinstance(gate.gate, nn.Sequential)
    assert isinstance(gate.gate[-1], nn.Sigmoid)


def encoder_of(**options: Any) -> FrameEncoder:
    return FrameEncoder(BaseAttentionOptions(dim=8, heads=2, mlp=16, **options), 6)


@pytest.mark.parametrize("positions", ["sinusoidal", "none"])
def test_encoder_takes_any_length_and_size(positions: Positions) -> None:
    torch.manual_seed(0)
    encoder = encoder_of(depth=2, positions=positions).eval()
    lengths = [5, 2, 4]
    maps = torch.randn(11, 6, 7, 5)
    alone = torch.cat([encoder(walk, [len(walk)]) for walk in maps.split(lengths)])
    assert alone.shape == (3, 6, 7, 5)
    torch.testing.assert_close(encoder(maps, lengths), alone, rtol=1e-4, atol=1e-5)
    shuffled = encoder(maps[:5].flip(0), [5])
    assert torch.allclose(shuffled, alone[:1], atol=1e-5) == (positions == "none")


def test_learned_positions_take_their_number_of_frames_only() -> None:
    encoder = encoder_of(depth=1, positions="learned", frames=3)
    assert encoder(torch.randn(6, 6, 4, 4), [3, 3]).shape == (2, 6, 4, 4)
    with pytest.raises(ValueError, match="for 3 frames, the walk has 4"):
        encoder(torch.randn(4, 6, 4, 4), [4])


@pytest.mark.parametrize(("dim", "heads"), [(6, 4), (9, 3)])
def test_tokens_are_even_and_a_multiple_of_the_heads(dim: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f"dim={dim} must be even and a multiple of heads={heads}"):
        FrameEncoder(BaseAttentionOptions(dim=dim, heads=heads), 6)

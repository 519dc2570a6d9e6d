"""Pooling and LSTM over time: layouts, readouts, walks of several lengths, chunks, memory."""

from typing import Any, get_args

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from exp.options.errors import ConfigError
from exp.tasks.gait.models.temporal import LAYOUTS, FrameLSTM, lstm_bytes, pool_frames, sequences_of, to_clips
from exp.tasks.gait.options import ConvLstmOptions, Layout, Readout

READOUTS: tuple[Readout, ...] = get_args(Readout)
SHAPE = (6, 4, 3)
LENGTHS = [5, 2, 4]


def maps(lengths: list[int], shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.randn(sum(lengths), *shape, generator=torch.Generator().manual_seed(0))


def shape_for(layout: Layout) -> tuple[int, int, int]:
    return (6, 4, 1) if layout == "(n p) s c" else SHAPE


def layer(layout: Layout, **options: Any) -> FrameLSTM:
    torch.manual_seed(0)
    return FrameLSTM(ConvLstmOptions(layout=layout, hidden=5, **options), shape_for(layout))


@pytest.mark.parametrize("how", ["max", "mean"])
def test_pooling_is_one_walk_at_a_time(how: str) -> None:
    x = maps(LENGTHS)
    walks = x.split(LENGTHS)
    expected = torch.stack([walk.amax(0) if how == "max" else walk.mean(0) for walk in walks])
    torch.testing.assert_close(pool_frames(x, LENGTHS, how), expected)
    torch.testing.assert_close(pool_frames(x[:10], [5, 5], how)[0], expected[0])


def test_clips_are_padded_behind() -> None:
    clips = to_clips(maps(LENGTHS), LENGTHS)
    assert clips.shape == (3, 5, *SHAPE)
    assert not clips[1, 2:].any()
    assert clips[1, :2].all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_the_einops_pattern(layout: Layout) -> None:
    """The last step of an LSTM on the pattern as the source writes it."""
    lstm = layer(layout)
    shape = shape_for(layout)
    x = maps([4, 4], shape)
    clips = rearrange(x, "(n s) c h w -> n c s h w", n=2)
    if layout == "(n p) s c":
        sequences = rearrange(clips[..., 0], "n c s p -> (n p) s c")
        back = "(n p) c -> n c p"
    else:
        sequences = rearrange(clips, f"n c s h w -> {layout}")
        back = LAYOUTS[layout]
    out, _ = lstm.lstm(sequences)
    sizes = {"n": 2, "h": shape[1], "w": shape[2]} if "p" not in back else {"n": 2}
    expected = rearrange(out[:, -1], back, **sizes)
    found = lstm(x, [4, 4])
    torch.testing.assert_close(found[..., 0] if layout == "(n p) s c" else found, expected)
    assert found.shape == (2, lstm.out_channels, *shape[1:])
    assert len(sequences) == 2 * sequences_of(layout, shape)[0]
    assert sequences.shape[2] == sequences_of(layout, shape)[1]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_walks_of_several_lengths_are_each_as_alone(layout: Layout, readout: Readout, bidirectional: bool) -> None:
    lstm = layer(layout, readout=readout, bidirectional=bidirectional)
    x = maps(LENGTHS, shape_for(layout))
    alone = torch.cat([lstm(walk, [len(walk)]) for walk in x.split(LENGTHS)])
    torch.testing.assert_close(lstm(x, LENGTHS), alone)


@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4, 4]], ids=["several", "one length"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_chunks_change_no_number_and_no_gradient(layout: Layout, lengths: list[int]) -> None:
    x = maps(lengths, shape_for(layout))
    found = []
    for bound in (0.0, 2e-6):
        lstm = layer(layout, readout="max", lstm_gib=bound)
        assert (lstm.chunks(len(lengths), max(lengths)) > 1) == (bound > 0)
        inputs = x.clone().requires_grad_()
        out = lstm(inputs, lengths)
        out.square().sum().backward()
        found.append([out.detach(), inputs.grad, *(p.grad for p in lstm.parameters())])
    for whole, pieces in zip(*found, strict=True):
        torch.testing.assert_close(pieces, whole)


def test_readouts_differ_and_last_is_both_directions_end() -> None:
    x = maps([5])
    results = [layer("(n h w) s c", readout=readout)(x, [5]) for readout in READOUTS]
    assert not torch.allclose(results[0], results[1])
    assert not torch.allclose(results[1], results[2])
    both = layer("(n h w) s c", bidirectional=True)
    sequences = rearrange(x, "s c h w -> (h w) s c")
    states, _ = both.lstm(sequences)
    expected = torch.cat([states[:, -1, :5], states[:, 0, 5:]], 1)
    torch.testing.assert_close(rearrange(both(x, [5]), "1 c h w -> (h w) c"), expected)


def test_two_directions_of_a_spatial_layout_are_added() -> None:
    assert layer("(n h c) s w", bidirectional=True).out_channels == SHAPE[0]
    assert layer("(n h w) s c", bidirectional=True).out_channels == 10


def test_memory_is_that_of_the_report() -> None:
    """64x64 frames, maps 512x16x16, 30 frames, two bytes a number: 3.8 and 6.6 GiB for 128 walks (a report's sums)."""
    shape = (512, 16, 16)
    gib = {
        layout: FrameLSTM(ConvLstmOptions(layout=layout), (512, 16, 1) if layout == "(n p) s c" else shape).estimate(
            128, 30, each=2
        )
        / 2**30
        for layout in LAYOUTS
    }
    assert {name: round(value, 1) for name, value in gib.items()} == {
        "(n h w) s c": 3.8,
        "(n p) s c": 0.2,
        "(n h c) s w": 6.6,
        "(n w c) s h": 6.6,
        "(n c) s (h w)": 6.6,
    }
    bounded = FrameLSTM(ConvLstmOptions(layout="(n c) s (h w)", lstm_gib=4.0), shape)
    assert bounded.chunks(128, 30, each=2) == 2
    assert bounded.chunks(32, 30, each=2) == 1


def test_memory_estimate_is_of_the_size_that_autograd_keeps() -> None:
    """The formula leaves out a backend's own workspace: on a CPU, three to some four times as much is kept."""
    sequences, steps, inputs, hidden = 64, 12, 32, 16
    lstm = nn.LSTM(inputs, hidden, batch_first=True)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        lstm(torch.randn(sequences, steps, inputs))
    weights = sum(p.numel() * 4 for p in lstm.parameters())
    ratio = (sum(kept.values()) - weights) / lstm_bytes(sequences, steps, inputs, hidden)
    assert 1 < ratio < 5


def test_unknown_choices_are_refused() -> None:
    options: Any
    for options, message in (
        ({"layout": "n c"}, r"^layout=n c: not one of \(n h w\) s c, "),
        ({"readout": "first"}, r"^readout=first: not one of last, mean, max$"),
    ):
        with pytest.raises(ConfigError, match=message):
            FrameLSTM(ConvLstmOptions(**options), SHAPE)

"""From frames to a walk: pooling over time, and one LSTM over time on any layout of the maps.

The frames of several walks come one behind the other, (F, c, h, w) with the walks' lengths, so that walks of any
length share a batch without padding. The layouts are those of the source notebook, 000_5904b90314bc883c.txt.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from exp.tasks.gait.options import Layout, LstmOptions

LAYOUTS: dict[Layout, str] = {
    "(n h w) s c": "(n h w) c -> n c h w",
    "(n p) s c": "(n p) c -> n c p",
    "(n h c) s w": "(n h c) w -> n c h w",
    "(n w c) s h": "(n w c) h -> n c h w",
    "(n c) s (h w)": "(n c) (h w) -> n c h w",
}
"""Of each layout of n s c h w (n s c p for parts): the pattern that brings the LSTM's results back to maps."""

_APART: tuple[Layout, ...] = ("(n h c) s w", "(n w c) s h", "(n c) s (h w)")
"""Layouts that keep the channels apart, so that the LSTM's input are positions."""


def pool_frames(maps: Tensor, lengths: Sequence[int], how: str) -> Tensor:
    """Returns the maximum or mean over the frames of each walk, (n, ...).

    Args:
        maps: (F, ...) the walks' frames one behind the other.
        lengths: Frames of each walk; their sum is F.
        how: max or mean.
    """
    if len(set(lengths)) == 1:
        clips = rearrange(maps, "(n s) ... -> n s ...", n=len(lengths))
        return clips.max(1).values if how == "max" else clips.mean(1)
    walks = maps.split(list(lengths))
    return torch.stack([walk.max(0).values if how == "max" else walk.mean(0) for walk in walks])


def to_clips(maps: Tensor, lengths: Sequence[int]) -> Tensor:
    """Returns walks (F, ...) as (n, longest, ...), with zeros behind the shorter ones."""
    if len(set(lengths)) == 1:
        return rearrange(maps, "(n s) ... -> n s ...", n=len(lengths))
    return nn.utils.rnn.pad_sequence(list(maps.split(list(lengths))), batch_first=True)


def lstm_bytes(sequences: int, steps: int, inputs: int, hidden: int, *, directions: int = 1, each: int = 4) -> int:
    """Returns the bytes that one LSTM layer keeps for its backward pass: inputs, four gates, cell and hidden state.

    A backend's own workspace comes on top; on a CPU about three times as much is kept in all.

    Args:
        sequences: Sequences of the batch.
        steps: Steps of a sequence.
        inputs: Numbers a step.
        hidden: Numbers of the state.
        directions: 2 where it is bidirectional.
        each: Bytes of a number.
    """
    return sequences * steps * (inputs + 6 * hidden * directions) * each


def sequences_of(layout: Layout, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns the sequences a walk and the inputs a step of a layout.

    Args:
        layout: See ``LAYOUTS``.
        shape: (c, h, w) of a frame's map; parts are (c, p, 1).
    """
    c, h, w = shape
    return {
        "(n h w) s c": (h * w, c),
        "(n p) s c": (h * w, c),
        "(n h c) s w": (h * c, w),
        "(n w c) s h": (w * c, h),
        "(n c) s (h w)": (c, h * w),
    }[layout]


class FrameLSTM(nn.Module):
    """One LSTM over the frames of every walk, maps (F, c, h, w) -> (n, out_channels, h, w).

    Layouts that keep the channels apart give each channel's map back in its own size; there the hidden state has as
    many numbers as the input, and two directions are added, where otherwise their states are joined side by side.

    Args:
        options: See ``LstmOptions``.
        shape: (c, h, w) of a frame's map; (c, p, 1) of a frame's parts.

    Attributes:
        out_channels: Channels of the result.
    """

    def __init__(self, options: LstmOptions, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.options = options
        self.shape = shape
        self.apart = options.layout in _APART
        _, inputs = sequences_of(options.layout, shape)
        self.hidden = inputs if self.apart else options.hidden
        self.directions = 2 if options.bidirectional else 1
        self.out_channels = shape[0] if self.apart else self.hidden * self.directions
        self.lstm = nn.LSTM(inputs, self.hidden, batch_first=True, bidirectional=options.bidirectional)

    def estimate(self, walks: int, frames: int, *, each: int = 4) -> int:
        """Returns the bytes that the layer keeps for its backward pass when it runs in one piece.

        Args:
            walks: Walks of a batch.
            frames: Frames of the longest walk.
            each: Bytes of a number.
        """
        sequences, inputs = sequences_of(self.options.layout, self.shape)
        return lstm_bytes(walks * sequences, frames, inputs, self.hidden, directions=self.directions, each=each)

    def chunks(self, walks: int, frames: int, *, each: int = 4) -> int:
        """Returns the number of pieces in which the sequences of a batch run, see ``estimate``."""
        if not self.options.lstm_gib:
            return 1
        pieces = -(-self.estimate(walks, frames, each=each) // int(self.options.lstm_gib * 2**30))
        return max(1, min(pieces, walks * sequences_of(self.options.layout, self.shape)[0]))

    def forward(self, maps: Tensor, lengths: Sequence[int]) -> Tensor:
        """Maps (F, c, h, w) of walks of these lengths to (n, out_channels, h, w)."""
        clips = to_clips(maps, lengths)
        n, s, _, h, w = clips.shape
        # Parts are maps of one column, so that a part is a position.
        layout: Layout = "(n h w) s c" if self.options.layout == "(n p) s c" else self.options.layout
        x = rearrange(clips, f"n s c h w -> {layout}")
        steps = None if len(set(lengths)) == 1 else torch.tensor(lengths).repeat_interleave(len(x) // n)
        pieces = self.chunks(n, s, each=_bytes_each(x))
        if pieces == 1:
            out = self._run(x, steps)
        else:
            parts = x.chunk(pieces)
            spans = steps.split([len(part) for part in parts]) if steps is not None else [None] * len(parts)
            again = torch.is_grad_enabled()
            out = torch.cat(
                [
                    checkpoint(self._run, part, span, use_reentrant=False) if again else self._run(part, span)
                    for part, span in zip(parts, spans, strict=True)
                ]
            )
        return rearrange(out, LAYOUTS[layout], n=n, h=h, w=w)

    def _run(self, x: Tensor, steps: Tensor | None) -> Tensor:
        """Maps sequences (b, s, inputs), of ``steps`` (b,) where they differ in length, to (b, outputs)."""
        if steps is None:
            states, (last, _) = self.lstm(x)
        else:
            packed, (last, _) = self.lstm(pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False))
            states, _ = pad_packed_sequence(packed, batch_first=True)
        if self.options.readout == "last":
            out = rearrange(last, "d b c -> b (d c)")
        elif steps is None:
            out = states.max(1).values if self.options.readout == "max" else states.mean(1)
        else:
            steps = steps.to(x.device)
            beyond = torch.arange(states.shape[1], device=x.device)[None, :, None] >= steps[:, None, None]
            if self.options.readout == "max":
                out = states.masked_fill(beyond, -torch.inf).max(1).values
            else:
                out = states.masked_fill(beyond, 0.0).sum(1) / steps[:, None]
        if self.apart and self.directions > 1:
            return rearrange(out, "b (d c) -> b d c", d=self.directions).sum(1)
        return out


def _bytes_each(x: Tensor) -> int:
    """Returns the bytes of a number in which an LSTM would compute on ``x``."""
    kind = x.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        return torch.empty((), dtype=torch.get_autocast_dtype(kind)).element_size()
    return x.element_size()

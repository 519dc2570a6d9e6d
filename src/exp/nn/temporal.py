"""From frames to a walk: pooling over time, and one LSTM over time on any layout of the maps.

Frames of several walks stand one behind the other, (F, c, h, w) with the walks' lengths, so that walks of any length
share a batch without padding. The layouts are those of the source notebook, 000_5904b90314bc883c.txt.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from exp.nn.checks import one_of

LAYOUTS = {
    "(n h w) s c": "(n h w) c -> n c h w",
    "(n p) s c": "(n p) c -> n c p",
    "(n h c) s w": "(n h c) w -> n c h w",
    "(n w c) s h": "(n w c) h -> n c h w",
    "(n c) s (h w)": "(n c) (h w) -> n c h w",
}
"""What becomes the LSTM's batch and what its input, and the way back, from n s c h w (n s c p for parts)."""

READOUTS = ("last", "mean", "max")


def pool_frames(maps: Tensor, lengths: Sequence[int], how: str) -> Tensor:
    """Maximum or mean over the frames of each walk.

    Args:
        maps: (F, ...) the walks' frames one behind the other.
        lengths: Frames of each walk; their sum is F.
        how: max or mean.

    Returns:
        (n, ...).
    """
    if len(set(lengths)) == 1:
        clips = maps.view(len(lengths), lengths[0], *maps.shape[1:])
        return clips.max(1).values if how == "max" else clips.mean(1)
    walks = maps.split(list(lengths))
    return torch.stack([walk.max(0).values if how == "max" else walk.mean(0) for walk in walks])


def to_clips(maps: Tensor, lengths: Sequence[int]) -> Tensor:
    """(F, ...) -> (n, longest, ...), zeros behind the shorter walks."""
    if len(set(lengths)) == 1:
        return maps.view(len(lengths), lengths[0], *maps.shape[1:])
    return nn.utils.rnn.pad_sequence(list(maps.split(list(lengths))), batch_first=True)


def lstm_bytes(sequences: int, steps: int, inputs: int, hidden: int, *, directions: int = 1, each: int = 4) -> int:
    """Bytes that one LSTM layer keeps for its backward pass: inputs, four gates, cell and hidden state.

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


def sequences_of(layout: str, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Sequences a walk and inputs a step of a layout.

    Args:
        layout: One of ``LAYOUTS``.
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
    many numbers as the input, and two directions are added, where otherwise they stand side by side.

    Args:
        layout: One of ``LAYOUTS``; parts come as (F, c, p, 1).
        shape: (c, h, w) of a frame's map.
        hidden: Numbers of the state where the input is the channels.
        readout: last state, or mean or maximum over the walk's steps.
        bidirectional: Whether a second LSTM runs backwards.
        memory_gib: What the layer may keep for its backward pass; beyond it, the sequences run in several chunks that
            are computed again in the backward pass, with the same numbers up to rounding. 0 sets no bound.

    Attributes:
        out_channels: Channels of the result.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        layout: str,
        shape: tuple[int, int, int],
        *,
        hidden: int = 256,
        readout: str = "last",
        bidirectional: bool = False,
        memory_gib: float = 0.0,
    ) -> None:
        super().__init__()
        self.layout = one_of("FrameLSTM", "layout", layout, LAYOUTS)
        self.readout = one_of("FrameLSTM", "readout", readout, READOUTS)
        self.shape = shape
        self.memory_gib = memory_gib
        self.apart = layout not in ("(n h w) s c", "(n p) s c")
        _, inputs = sequences_of(layout, shape)
        self.hidden = inputs if self.apart else hidden
        self.directions = 2 if bidirectional else 1
        self.out_channels = shape[0] if self.apart else self.hidden * self.directions
        self.lstm = nn.LSTM(inputs, self.hidden, batch_first=True, bidirectional=bidirectional)

    def estimate(self, walks: int, frames: int, *, each: int = 4) -> int:
        """Bytes that the layer keeps for its backward pass when it runs in one piece."""
        sequences, inputs = sequences_of(self.layout, self.shape)
        return lstm_bytes(walks * sequences, frames, inputs, self.hidden, directions=self.directions, each=each)

    def chunks(self, walks: int, frames: int, *, each: int = 4) -> int:
        """Pieces in which the sequences of a batch run."""
        if not self.memory_gib:
            return 1
        pieces = -(-self.estimate(walks, frames, each=each) // int(self.memory_gib * 2**30))
        return max(1, min(pieces, walks * sequences_of(self.layout, self.shape)[0]))

    def forward(self, maps: Tensor, lengths: Sequence[int]) -> Tensor:
        clips = to_clips(maps, lengths)
        n, s, _, h, w = clips.shape
        layout = self.layout if self.layout != "(n p) s c" else "(n h w) s c"
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
        """Sequences (b, s, inputs) -> (b, outputs)."""
        if steps is None:
            states, (last, _) = self.lstm(x)
        else:
            packed, (last, _) = self.lstm(pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False))
            states, _ = pad_packed_sequence(packed, batch_first=True)
        if self.readout == "last":
            out = last.transpose(0, 1).flatten(1)
        elif steps is None:
            out = states.max(1).values if self.readout == "max" else states.mean(1)
        else:
            steps = steps.to(x.device)
            beyond = torch.arange(states.shape[1], device=x.device)[None, :, None] >= steps[:, None, None]
            if self.readout == "max":
                out = states.masked_fill(beyond, -torch.inf).max(1).values
            else:
                out = states.masked_fill(beyond, 0.0).sum(1) / steps[:, None]
        return out.unflatten(1, (self.directions, self.hidden)).sum(1) if self.apart and self.directions > 1 else out


def _bytes_each(x: Tensor) -> int:
    """Bytes of a number in which an LSTM would compute on ``x``."""
    kind = x.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        return torch.empty((), dtype=torch.get_autocast_dtype(kind)).element_size()
    return x.element_size()

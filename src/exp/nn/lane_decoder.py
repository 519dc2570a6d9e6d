"""Causal transformer blocks that write all lanes of an image at once, with caches for one-step decoding.

Each lane is a sequence of its own; all lanes of an image read the same visual tokens, so they are queries of one
attention and the tokens' keys and values are never copied. Everything runs on scaled_dot_product_attention.

Source: LaneLM (10.20944/preprints202504.1582): causal self-attention, attention to the image, feed-forward.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.nn.checks import one_of

NORMS = ("pre", "post")


@dataclass
class Memory:
    """A level's visual tokens as one block's keys and values.

    Attributes:
        keys: (B, heads, N, d).
        values: (B, heads, N, d).
        mask: (B, 1, 1, N), true where a token counts, or None where all do.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None


@dataclass
class Cache:
    """Keys and values of the rows a block has seen.

    Attributes:
        keys: (B * S, heads, rows, d), filled up to the present row.
        values: Likewise.
    """

    keys: Tensor
    values: Tensor


class LaneBlock(nn.Module):
    """Self-attention along a lane, attention to the image, feed-forward.

    Args:
        dim: Channels.
        heads: Attention heads.
        hidden: Channels inside the feed-forward part.
        dropout: Probability, on the three branches.
        norm: ``pre`` normalises a branch's input, ``post`` the sum (the source's form).

    Raises:
        ValueError: dim is no multiple of heads.
    """

    def __init__(self, dim: int, heads: int, hidden: int, *, dropout: float = 0.0, norm: str = "pre") -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"LaneBlock: dim={dim} is no multiple of heads={heads}")
        self.heads = heads
        self.pre = one_of("LaneBlock", "norm", norm, NORMS) == "pre"
        self.self_in = nn.Linear(dim, 3 * dim)
        self.self_out = nn.Linear(dim, dim)
        self.cross_query = nn.Linear(dim, dim)
        self.cross_memory = nn.Linear(dim, 2 * dim)
        self.cross_out = nn.Linear(dim, dim)
        self.feed = nn.Sequential(nn.Linear(dim, hidden), nn.GELU() if self.pre else nn.ReLU(), nn.Linear(hidden, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def memory(self, tokens: Tensor, mask: Tensor | None) -> Memory:
        """Keys and values of visual tokens (B, N, dim)."""
        keys, values = self._split(self.cross_memory(tokens), 2)
        return Memory(keys, values, None if mask is None else mask[:, None, None])

    def forward(
        self,
        x: Tensor,
        memory: Memory,
        *,
        cache: Cache | None = None,
        row: int = 0,
        probe: list[Tensor] | None = None,
    ) -> Tensor:
        """(B, S, T, dim) -> (B, S, T, dim).

        Args:
            x: All rows, or the single row ``row`` where a cache is given.
            memory: What `memory` gives for the image.
            cache: Rows before this one; gets this one added.
            row: The place of the row in the lane.
            probe: Takes how uniform this very attention to the image is, see `uniformity`.
        """
        x = self._add(x, 0, lambda inner: self._look_back(inner, cache, row))
        x = self._add(x, 1, lambda inner: self._look_up(inner, memory, probe))
        return self._add(x, 2, self.feed)

    def _add(self, x: Tensor, branch: int, apply) -> Tensor:  # type: ignore[no-untyped-def]
        if self.pre:
            return x + self.dropout(apply(self.norms[branch](x)))
        return self.norms[branch](x + self.dropout(apply(x)))

    def _look_back(self, x: Tensor, cache: Cache | None, row: int) -> Tensor:
        batch, lanes, rows, dim = x.shape
        query, keys, values = self._split(self.self_in(x).view(batch * lanes, rows, 3 * dim), 3)
        if cache is None:
            # is_causal aligns query and key from the top left, which is right for whole sequences only.
            found = F.scaled_dot_product_attention(query, keys, values, is_causal=True)
        else:
            cache.keys[:, :, row] = keys[:, :, 0]
            cache.values[:, :, row] = values[:, :, 0]
            found = F.scaled_dot_product_attention(query, cache.keys[:, :, : row + 1], cache.values[:, :, : row + 1])
        return self.self_out(found.transpose(1, 2).reshape(batch, lanes, rows, dim))

    def _look_up(self, x: Tensor, memory: Memory, probe: list[Tensor] | None) -> Tensor:
        batch, lanes, rows, dim = x.shape
        (query,) = self._split(self.cross_query(x).view(batch, lanes * rows, dim), 1)
        if probe is not None:
            probe.append(uniformity(query, memory))
        found = F.scaled_dot_product_attention(query, memory.keys, memory.values, attn_mask=memory.mask)
        return self.cross_out(found.transpose(1, 2).reshape(batch, lanes, rows, dim))

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, N, parts * dim) -> parts of (B, heads, N, d)."""
        batch, count, _ = x.shape
        return x.view(batch, count, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


@torch.no_grad()
def uniformity(query: Tensor, memory: Memory) -> Tensor:
    """Mean entropy of the attention rows over the greatest possible one: 1 looks at all tokens alike, 0 at one.

    Args:
        query: (B, heads, n, d).
        memory: Keys and mask.
    """
    weights = (query.float() @ memory.keys.float().transpose(-1, -2)) / math.sqrt(query.shape[-1])
    counted = torch.full((len(query), 1, 1), float(weights.shape[-1]), device=query.device)
    if memory.mask is not None:
        weights = weights.masked_fill(~memory.mask, -math.inf)
        counted = memory.mask.sum(-1).float()
    entropy = torch.special.entr(weights.softmax(-1)).sum(-1)
    return (entropy / counted.log().clamp(min=1e-6)).mean()

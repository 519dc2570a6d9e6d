"""Causal transformer blocks that write all lanes of an image at once, with caches for one-step decoding.

Each lane is a sequence of its own; all lanes of an image read the same visual tokens, so they are queries of one
attention and the tokens' keys and values are never copied. Everything runs on scaled_dot_product_attention.

Source: LaneLM (10.20944/preprints202504.1582): causal self-attention, attention to the image, feed-forward.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from exp.tasks.lane.options import LaneLMOptions


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
    """Keys and values of the rows a block has read, for decoding a row at a time.

    Attributes:
        keys: (B * S, heads, rows, d), filled up to the present row.
        values: The same shape, filled in the same way.
    """

    keys: Tensor
    values: Tensor


class LaneBlock(nn.Module):
    """Self-attention along a lane, attention to the image, feed-forward.

    Args:
        options: See ``LaneLMOptions``, of which ``dim``, ``heads``, ``hidden``, ``dropout`` and ``norm`` are read.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: dim is no multiple of heads.
    """

    def __init__(self, options: LaneLMOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = LaneLMOptions.of(options, given)
        dim, hidden = options.dim, options.hidden
        if dim % options.heads:
            raise ValueError(f"LaneBlock: dim={dim} is no multiple of heads={options.heads}")
        self.heads = options.heads
        self.pre = options.norm == "pre"
        self.self_in = nn.Linear(dim, 3 * dim)
        self.self_out = nn.Linear(dim, dim)
        self.cross_query = nn.Linear(dim, dim)
        self.cross_memory = nn.Linear(dim, 2 * dim)
        self.cross_out = nn.Linear(dim, dim)
        self.feed = nn.Sequential(nn.Linear(dim, hidden), nn.GELU() if self.pre else nn.ReLU(), nn.Linear(hidden, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(options.dropout)

    def memory(self, tokens: Tensor, mask: Tensor | None) -> Memory:
        """Returns the keys and values of visual tokens (B, N, dim), of which ``mask`` (B, N) says which count."""
        keys, values = rearrange(self.cross_memory(tokens), "b n (kv h d) -> kv b h n d", kv=2, h=self.heads)
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
        """Returns (B, S, T, dim) of B images with S lanes of T rows each.

        Args:
            x: (B, S, T, dim) of all rows, or of the single row ``row`` where a cache is given.
            memory: The image's keys and values, from the method ``memory``.
            cache: The rows before this one, to which this one is added.
            row: The row's place in the lane.
            probe: A list to which is added how uniform this attention to the image is, see ``uniformity``.
        """
        x = self._add(x, 0, lambda inner: self._look_back(inner, cache, row))
        x = self._add(x, 1, lambda inner: self._look_up(inner, memory, probe))
        return self._add(x, 2, self.feed)

    def _add(self, x: Tensor, branch: int, apply: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre:
            return x + self.dropout(apply(self.norms[branch](x)))
        return self.norms[branch](x + self.dropout(apply(x)))

    def _look_back(self, x: Tensor, cache: Cache | None, row: int) -> Tensor:
        query, keys, values = rearrange(self.self_in(x), "b l r (qkv h d) -> qkv (b l) h r d", qkv=3, h=self.heads)
        if cache is None:
            # is_causal aligns query and key from the top left, which is right for whole sequences only.
            attended = F.scaled_dot_product_attention(query, keys, values, is_causal=True)
        else:
            cache.keys[:, :, row] = keys[:, :, 0]
            cache.values[:, :, row] = values[:, :, 0]
            keys, values = cache.keys[:, :, : row + 1], cache.values[:, :, : row + 1]
            attended = F.scaled_dot_product_attention(query, keys, values)
        return self.self_out(rearrange(attended, "(b l) h r d -> b l r (h d)", l=x.shape[1]))

    def _look_up(self, x: Tensor, memory: Memory, probe: list[Tensor] | None) -> Tensor:
        query = rearrange(self.cross_query(x), "b l r (h d) -> b h (l r) d", h=self.heads)
        if probe is not None:
            probe.append(uniformity(query, memory))
        attended = F.scaled_dot_product_attention(query, memory.keys, memory.values, attn_mask=memory.mask)
        return self.cross_out(rearrange(attended, "b h (l r) d -> b l r (h d)", l=x.shape[1]))


@torch.no_grad()
def uniformity(query: Tensor, memory: Memory) -> Tensor:
    """Returns the mean entropy of attention rows relative to the largest possible one, a single value in 0..1.

    It is 1 where all tokens have the same weight, and 0 where a single token has all of it.

    Args:
        query: (B, heads, n, d).
        memory: Keys and mask of the tokens.
    """
    weights = (query.float() @ memory.keys.float().transpose(-1, -2)) / math.sqrt(query.shape[-1])
    counted = torch.full((len(query), 1, 1), float(weights.shape[-1]), device=query.device)
    if memory.mask is not None:
        weights = weights.masked_fill(~memory.mask, -math.inf)
        counted = memory.mask.sum(-1).float()
    entropy = torch.special.entr(weights.softmax(-1)).sum(-1)
    return (entropy / counted.log().clamp(min=1e-6)).mean()

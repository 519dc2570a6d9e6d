"""Attention pooling: a few learnt queries each gather what they need from a set of tokens."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class TokenPool(nn.Module):
    """Pools a set of tokens to a fixed number of them.

    Args:
        dim: Channels of a token.
        count: Number of tokens after pooling.
        heads: Attention heads.

    Shape:
        tokens (B, N, dim), mask (B, N), true where a token counts -> (B, count, dim).
    """

    def __init__(self, dim: int, count: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(count, dim) * 0.02)
        self.keys_values = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        keys, values = rearrange(self.keys_values(tokens), "b n (kv h d) -> kv b h n d", kv=2, h=self.heads)
        queries = rearrange(self.queries, "q (h d) -> h q d", h=self.heads).expand(len(tokens), -1, -1, -1)
        gathered = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=None if mask is None else mask[:, None, None]
        )
        return self.norm(self.out(rearrange(gathered, "b h q d -> b q (h d)")))

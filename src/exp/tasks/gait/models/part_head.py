"""One linear map and one cosine classifier a body part.

Source: GaitSet (Chao et al., AAAI 2019) for the separate maps, Luo et al., "Bag of Tricks and a Strong Baseline for
Deep Person Re-identification", CVPRW 2019, for the batch-norm neck; in the form of GaitBase (Fan et al., CVPR 2023).
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class SeparateFC(nn.Module):
    """Parts (n, in_channels, p) -> (n, out_channels, p), a matrix a part, no bias."""

    def __init__(self, in_channels: int, out_channels: int, parts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(parts, in_channels, out_channels))
        self.init_weights()

    def init_weights(self) -> None:
        """Sets Xavier's values over the whole tensor, as the source does: far smaller than matrix by matrix."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps parts (n, in_channels, p) to (n, out_channels, p)."""
        # Copied once here, the product's backward pass need not copy it twice.
        parts = rearrange(x, "n c p -> p n c").contiguous()
        return rearrange(parts @ self.weight, "p n c -> n c p")


class SeparateBNNeck(nn.Module):
    """Parts (n, c, p) -> cosine logits (n, classes, p): batch norm over all c * p numbers, then a cosine a class."""

    def __init__(self, channels: int, parts: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels * parts)
        self.weight = nn.Parameter(torch.empty(parts, channels, classes))
        self.init_weights()

    def init_weights(self) -> None:
        """Sets Xavier's values over the whole tensor."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps parts (n, c, p) to cosine logits (n, classes, p)."""
        normed = rearrange(self.norm(rearrange(x, "n c p -> n (c p)")), "n (c p) -> n c p", c=x.shape[1])
        vectors = rearrange(F.normalize(normed, dim=1), "n c p -> p n c")
        return rearrange(vectors @ F.normalize(self.weight, dim=1), "p n k -> n k p")


class PartHead(nn.Module):
    """Parts (n, in_channels, p) -> embedding (n, channels, p) and cosine logits (n, classes, p).

    Args:
        in_channels: Channels of the parts.
        channels: Channels of the embedding.
        parts: Number of parts.
        classes: Persons of the training set.
        separate_fc: Whether each part has a matrix of its own; without, the parts are the embedding and need
            ``channels`` channels.

    Raises:
        ValueError: Channels differ and there is no matrix.
    """

    def __init__(self, in_channels: int, channels: int, parts: int, classes: int, *, separate_fc: bool) -> None:
        super().__init__()
        if not separate_fc and in_channels != channels:
            raise ValueError(f"PartHead: {in_channels} channels in, {channels} out, and separate_fc is off")
        self.fc = SeparateFC(in_channels, channels, parts) if separate_fc else None
        self.neck = SeparateBNNeck(channels, parts, classes)

    def forward(self, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps parts (n, in_channels, p) to their embedding and logits."""
        embedding = parts if self.fc is None else self.fc(parts)
        return embedding, self.neck(embedding)

"""LaneLM: lanes written token by token by a transformer that reads an image's features.

Source: LaneLM (10.20944/preprints202504.1582) and notebook 001 (001_a79f247b6d6434d0.txt), whose choices are options.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from exp.models.resnet import ResNet
from exp.nn.checks import at_least, one_of
from exp.nn.fpn import FPN
from exp.nn.lane_decoder import Cache, LaneBlock, Memory
from exp.nn.lane_tokens import PAD
from exp.nn.position2d import sincos
from exp.nn.token_pool import TokenPool
from exp.nn.visual_tokens import VisualTokens

CROSS = ("concatenated", "per_level")
BOS = ("slot", "leak")
SLOTS = ("learnt", "scaled10")
EMBEDDINGS = ("normal", "places")


@dataclass(frozen=True)
class Seen:
    """What the decoder reads of a batch of images.

    Attributes:
        tokens: One (B, N_i, dim) a level, or a single one for all levels.
        masks: For each, (B, N_i), true where a token counts, or None where all do.
        cells: One (B, slots + 1, H_i, W_i) a level: logits of the lane that runs through the token's cell, 0 for none;
            empty without a cell head.
    """

    tokens: list[Tensor]
    masks: list[Tensor | None]
    cells: list[Tensor]


@dataclass(frozen=True)
class Written:
    """The decoder's output, and what it was made from where the images were given.

    Attributes:
        x: (B, S, T, vocabulary) logits of the tokens.
        y: (B, S, T, T + 1) logits of the row index, T standing for no point; None without a y head.
        seen: What was read of the images.
        memories: Each block's keys and values of it.
    """

    x: Tensor
    y: Tensor | None
    seen: Seen | None = None
    memories: list[Memory] | None = None


class LaneLM(nn.Module):
    """Backbone, pyramid, visual tokens, decoder.

    Args:
        backbone: Builds the ResNet; its classifier is taken off.
        vocabulary: Different tokens of a lane.
        slots: Lanes an image can have.
        steps: Rows of a lane.
        bos: ``slot`` begins each lane with a token of its slot; ``leak`` feeds the first answer in training and
            token 0 in decoding (notebook 001).
        slot: Slot embedding ``learnt`` from a small start, or ``scaled10``: N(0, 1) times ten (notebook 001).
        y_head: Whether the row index is predicted too.
        cell_head: Whether each visual token says which slot's lane runs through its cell.
        levels: Pyramid levels joined by +.
        cross: All levels ``concatenated``, or block i reading level i (``per_level``, the paper's form).
        subsample: See `VisualTokens`.
        token_pool: ``none``, or ``attention`` to pool each set of tokens to ``pooled_tokens``.
        pooled_tokens: Tokens after pooling.
        encoder: See `VisualTokens`.
        encoder_scale: See `VisualTokens`.
        position_strength: See `VisualTokens`.
        memory_mask: Whether tokens of places without image are hidden from the decoder.
        fpn_channels: Channels of the pyramid.
        dim: Channels of the decoder.
        layers: Decoder blocks.
        heads: Attention heads.
        hidden: Channels inside the feed-forward part.
        dropout: Probability.
        norm: See `LaneBlock`.
        embedding_std: Deviation of the embeddings' starting values (the source has 1).
        embeddings: How they start: ``normal`` at random, or ``places``: bins, rows and the head's bins with the
            codes that visual tokens of the same place have, so that attention finds a place by a dot product.
        bin_places: x of each bin in cells of the finest level, for ``places``.
        row_places: y of each row, likewise.
        frozen: Whether the backbone keeps the weights it has.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        backbone: Callable[[], ResNet],
        vocabulary: int,
        slots: int,
        steps: int,
        bos: str,
        slot: str,
        y_head: bool,
        cell_head: bool,
        levels: str,
        cross: str,
        subsample: bool,
        token_pool: str,
        pooled_tokens: int,
        encoder: str,
        encoder_scale: float,
        position_strength: float,
        memory_mask: bool,
        fpn_channels: int,
        dim: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
        norm: str,
        embedding_std: float,
        embeddings: str,
        bin_places: Tensor,
        row_places: Tensor,
        frozen: bool,
    ) -> None:
        super().__init__()
        for name, value in (("slots", slots), ("steps", steps), ("layers", layers), ("vocabulary", vocabulary)):
            at_least("LaneLM", name, value, 1)
        self.bos = one_of("LaneLM", "bos", bos, BOS)
        self.slot = one_of("LaneLM", "slot", slot, SLOTS)
        self.cross = one_of("LaneLM", "cross", cross, CROSS)
        self.vocabulary, self.slots, self.steps = vocabulary, slots, steps
        self.memory_mask = memory_mask
        self.frozen = frozen
        names = levels.split("+")
        self.backbone = backbone()
        self.backbone.fc = nn.Identity()  # type: ignore[assignment]
        if frozen:
            self.backbone.requires_grad_(False)
        self.fpn = FPN(self.backbone.stage_channels[1:], fpn_channels, names)
        self.visual = VisualTokens(
            fpn_channels,
            dim,
            names,
            encoder=encoder,
            scale=encoder_scale,
            position_strength=position_strength,
            subsample=subsample,
        )
        self.cell_head = nn.Linear(dim, slots + 1) if cell_head else None
        sets = len(names) if cross == "per_level" else 1
        self.pools = nn.ModuleList(TokenPool(dim, pooled_tokens, heads) for _ in range(sets) if token_pool != "none")
        self.token_embedding = nn.Embedding(vocabulary + (slots if bos == "slot" else 0), dim)
        self.row_embedding = nn.Parameter(torch.randn(steps, dim) * embedding_std)
        self.slot_embedding = nn.Parameter(torch.randn(slots, dim) * (10.0 if slot == "scaled10" else embedding_std))
        nn.init.normal_(self.token_embedding.weight, std=embedding_std)
        self.blocks = nn.ModuleList(LaneBlock(dim, heads, hidden, dropout=dropout, norm=norm) for _ in range(layers))
        self.last_norm = nn.LayerNorm(dim) if norm == "pre" else nn.Identity()
        self.x_head = nn.Linear(dim, vocabulary)
        self.y_head = nn.Linear(dim, steps + 1) if y_head else None
        if one_of("LaneLM", "embeddings", embeddings, EMBEDDINGS) == "places":
            self._place_embeddings(bin_places, row_places, embedding_std)

    @torch.no_grad()
    def _place_embeddings(self, bins: Tensor, rows: Tensor, std: float) -> None:
        """Starts bins and rows as the two halves of a place's code, at the other embeddings' size.

        The head's bins start so too: what attention brings from a place then already points at its bin.
        """
        dim = self.row_embedding.shape[1]
        half, size = dim // 2, std * 2**0.5  # the mean square of sines and cosines is 1/2
        codes = nn.functional.pad(sincos(bins, half), (half, 0))
        self.token_embedding.weight[1 : len(bins) + 1] = codes * size
        self.x_head.weight[1 : len(bins) + 1] = codes * (2 / dim) ** 0.5
        self.row_embedding.copy_(nn.functional.pad(sincos(rows, half) * size, (0, half)))

    def train(self, mode: bool = True) -> "LaneLM":
        """Sets the mode; a frozen backbone stays in evaluation, so that its statistics do not move either."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def see(self, images: Tensor, filled: Tensor | None = None) -> Seen:
        """Images to what the decoder reads.

        Args:
            images: (B, 3, H, W).
            filled: bool (B, H / 8, W / 8), true where there is image; None where there is everywhere.
        """
        stages = self.backbone.forward_stages(images)
        names, tokens = self.visual.levels, self.visual(self.fpn(stages[1:]))
        cells = [] if self.cell_head is None else [self._cells(*one, images) for one in zip(names, tokens, strict=True)]
        masks: list[Tensor | None] = [None] * len(tokens)
        if self.memory_mask and filled is not None:
            masks = [self._mask(level, stages[i], filled) for i, level in enumerate_levels(self.visual.levels)]
        if self.cross == "concatenated":
            known = [mask for mask in masks if mask is not None]
            tokens, masks = [torch.cat(tokens, 1)], [torch.cat(known, 1) if known else None]
        if len(self.pools):
            tokens = [pool(some, mask) for pool, some, mask in zip(self.pools, tokens, masks, strict=True)]
            masks = [None] * len(tokens)
        return Seen(tokens, masks, cells)

    def _cells(self, level: str, tokens: Tensor, images: Tensor) -> Tensor:
        assert self.cell_head is not None
        rows = -(-images.shape[2] // self.visual.step(level))
        return self.cell_head(tokens).transpose(1, 2).unflatten(2, (rows, -1))

    def _mask(self, level: str, stage: Tensor, filled: Tensor) -> Tensor:
        cells = nn.functional.adaptive_max_pool2d(filled[:, None].float(), stage.shape[-2:])
        return self.visual.thinned(level, cells).flatten(1) > 0

    def remember(self, seen: Seen) -> list[Memory]:
        """Each block's keys and values, projected once an image."""
        return [
            block.memory(seen.tokens[i % len(seen.tokens)], seen.masks[i % len(seen.tokens)])  # type: ignore[operator]
            for i, block in enumerate(self.blocks)
        ]

    def shifted(self, ids: Tensor) -> Tensor:
        """The decoder's input under teacher forcing: the first input, then each row's predecessor.

        Args:
            ids: (B, S, T) tokens.
        """
        first = ids[:, :, :1] if self.bos == "leak" else self.begin(len(ids), ids.device)
        return torch.cat([first, ids[:, :, :-1]], 2)

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """(B, S, 1) first input of decoding."""
        if self.bos == "leak":
            return torch.full((batch, self.slots, 1), PAD, dtype=torch.long, device=device)
        return (self.vocabulary + torch.arange(self.slots, device=device)).view(1, -1, 1).expand(batch, -1, 1)

    def write(
        self,
        inputs: Tensor,
        memories: list[Memory],
        *,
        caches: list[Cache] | None = None,
        row: int = 0,
        probe: list[Tensor] | None = None,
    ) -> Written:
        """Logits for every row of ``inputs`` (B, S, T), or for row ``row`` alone (B, S, 1) with caches."""
        x = self.token_embedding(inputs) + self.row_embedding[row : row + inputs.shape[2]]
        x = x + self.slot_embedding[:, None]
        for i, block in enumerate(self.blocks):
            cache = None if caches is None else caches[i]
            x = block(x, memories[i], cache=cache, row=row, probe=probe)
        x = self.last_norm(x)
        return Written(self.x_head(x), None if self.y_head is None else self.y_head(x))

    def forward(self, images: Tensor, inputs: Tensor | None = None, filled: Tensor | None = None) -> Written:
        """Logits of all rows.

        Args:
            images: (B, 3, H, W).
            inputs: (B, S, T) decoder inputs, see `shifted`; without them, what counting the cost needs: zeros.
            filled: See `see`.
        """
        if inputs is None:
            shape = (len(images), self.slots, self.steps)
            inputs = torch.zeros(shape, dtype=torch.long, device=images.device)
        seen = self.see(images, filled)
        memories = self.remember(seen)
        return replace(self.write(inputs, memories), seen=seen, memories=memories)

    @torch.no_grad()
    def generate(
        self,
        memories: list[Memory],
        *,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        prompt: Tensor | None = None,
    ) -> Tensor:
        """Writes the lanes of a batch, a row at a time.

        Args:
            memories: What `remember` gives.
            temperature: 0 takes the likeliest token, else tokens are drawn from logits divided by it.
            generator: Where draws come from.
            prompt: (B, S, T) known tokens, -1 where unknown; they are taken instead of the model's.

        Returns:
            (B, S, T) tokens.
        """
        batch, heads, _, size = memories[0].keys.shape
        device = memories[0].keys.device
        rows = (batch * self.slots, heads, self.steps, size)
        dtype = memories[0].keys.dtype
        caches = [
            Cache(torch.empty(rows, device=device, dtype=dtype), torch.empty(rows, device=device, dtype=dtype))
            for _ in self.blocks
        ]
        token = self.begin(batch, device)
        written = []
        for row in range(self.steps):
            logits = self.write(token, memories, caches=caches, row=row).x[:, :, 0]
            token = choose(logits, temperature, generator)
            if prompt is not None:
                known = prompt[:, :, row]
                token = torch.where(known >= 0, known, token)
            written.append(token)
            token = token[:, :, None]
        return torch.stack(written, 2)


def choose(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """(..., vocabulary) logits -> (...) tokens: the likeliest at temperature 0, else drawn."""
    if temperature == 0:
        return logits.argmax(-1)
    shares = (logits.float() / temperature).softmax(-1)
    return torch.multinomial(shares.flatten(0, -2), 1, generator=generator).view(logits.shape[:-1])


def enumerate_levels(levels: tuple[str, ...]) -> list[tuple[int, str]]:
    """Place of each level's stage among the backbone's four, with its name."""
    return [({"p3": 1, "p4": 2, "p5": 3}[level], level) for level in levels]

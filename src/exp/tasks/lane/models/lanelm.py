"""LaneLM: lanes written token by token by a transformer that reads an image's features.

Source: LaneLM (10.20944/preprints202504.1582) and notebook 001 (001_a79f247b6d6434d0.txt), whose choices are options.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from exp.layers.options import RESNETS
from exp.layers.resnet import AttentionFactory, ResNet
from exp.tasks.lane.models.decoder import Cache, LaneBlock, Memory
from exp.tasks.lane.models.dla import DLA34
from exp.tasks.lane.models.fpn import FPN
from exp.tasks.lane.models.position2d import sincos
from exp.tasks.lane.models.token_pool import TokenPool
from exp.tasks.lane.models.visual_tokens import VisualTokens
from exp.tasks.lane.options import LaneLMOptions, LaneOptions
from exp.tasks.lane.tokens import PAD

STAGES = {"p3": 1, "p4": 2, "p5": 3}
"""Place of each level's stage among the backbone's four."""


@dataclass(frozen=True)
class Seen:
    """What the decoder reads of a batch of images.

    Attributes:
        tokens: A (B, N_i, dim) for each level, or a single one for all levels.
        masks: For each of them, bool (B, N_i), true where a token counts, or None where all do.
        cells: A (B, slots + 1, H_i, W_i) for each level: logits of the lane that runs through the token's cell, 0 for
            none; empty without a cell head.
    """

    tokens: list[Tensor]
    masks: list[Tensor | None]
    cells: list[Tensor]


@dataclass(frozen=True)
class Written:
    """The decoder's output, and what it was made from where the images were given.

    Attributes:
        x: (B, S, T, vocabulary) logits of the tokens.
        y: (B, S, T, T + 1) logits of the row index, of which T means no point; None without a y head.
        seen: What the decoder has read of the images.
        memories: Each block's keys and values of it.
    """

    x: Tensor
    y: Tensor | None
    seen: Seen | None = None
    memories: list[Memory] | None = None


class LaneLM(nn.Module):
    """Backbone, pyramid, visual tokens, decoder.

    Args:
        options: See ``LaneLMOptions``.
        task: See ``LaneOptions``, of which slots, rows, first input and additional losses are read.
        vocabulary: Number of different tokens of a lane.
        bin_places: (nbins,) x of each bin in cells of the finest level, for ``embeddings=places``.
        row_places: (steps,) y of each row in the same cells, for ``embeddings=places`` too.
        att: Builds an attention block of the backbone from its channels; None for none.
        placement: Where the backbone's attention blocks go, see ``exp.layers.resnet.ResNet``.
        given: Options by name, in place of ``options``.

    Raises:
        ValueError: dim is no multiple of 4 or of heads.
    """

    def __init__(
        self,
        options: LaneLMOptions | None = None,
        *,
        task: LaneOptions,
        vocabulary: int,
        bin_places: Tensor,
        row_places: Tensor,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        self.options = options = LaneLMOptions.of(options, given)
        self.task = task
        self.vocabulary = vocabulary
        self.slots, self.steps = task.max_lanes, task.steps
        self.backbone = _backbone(options, att, placement)
        if options.frozen:
            self.backbone.requires_grad_(False)
        levels = options.levels.split("+")
        self.fpn = FPN(self.backbone.stage_channels[1:], options.fpn_channels, levels)
        self.visual = VisualTokens(options)
        self.cell_head = nn.Linear(options.dim, self.slots + 1) if task.cell_loss > 0 else None
        pools = 0 if options.token_pool == "none" else len(levels) if options.cross == "per_level" else 1
        self.pools = nn.ModuleList(TokenPool(options.dim, options.pooled_tokens, options.heads) for _ in range(pools))
        self._build_decoder()
        if options.embeddings == "places":
            self._place_embeddings(bin_places, row_places)

    def _build_decoder(self) -> None:
        """Makes embeddings, blocks and heads; the embeddings of bins and rows start at random."""
        options, task = self.options, self.task
        dim, std = options.dim, options.embedding_std
        self.token_embedding = nn.Embedding(self.vocabulary + (self.slots if task.bos == "slot" else 0), dim)
        self.row_embedding = nn.Parameter(torch.randn(self.steps, dim) * std)
        self.slot_embedding = nn.Parameter(torch.randn(self.slots, dim) * (10.0 if task.slot == "scaled10" else std))
        nn.init.normal_(self.token_embedding.weight, std=std)
        self.blocks = nn.ModuleList(LaneBlock(options) for _ in range(options.layers))
        self.last_norm = nn.LayerNorm(dim) if options.norm == "pre" else nn.Identity()
        self.x_head = nn.Linear(dim, self.vocabulary)
        self.y_head = nn.Linear(dim, self.steps + 1) if task.y_loss != "none" else None

    @torch.no_grad()
    def _place_embeddings(self, bins: Tensor, rows: Tensor) -> None:
        """Starts bins and rows as the two halves of a place's code, at the other embeddings' size.

        The head's bins start so too: what attention brings from a place then already points at its bin.
        """
        dim = self.options.dim
        half, size = dim // 2, self.options.embedding_std * 2**0.5  # the mean square of sines and cosines is 1/2
        codes = nn.functional.pad(sincos(bins, half), (half, 0))
        self.token_embedding.weight[1 : len(bins) + 1] = codes * size
        self.x_head.weight[1 : len(bins) + 1] = codes * (2 / dim) ** 0.5
        self.row_embedding.copy_(nn.functional.pad(sincos(rows, half) * size, (0, half)))

    def train(self, mode: bool = True) -> "LaneLM":
        """Sets the mode; a frozen backbone stays in evaluation, so that its statistics do not move either."""
        super().train(mode)
        if self.options.frozen:
            self.backbone.eval()
        return self

    def see(self, images: Tensor, filled: Tensor | None = None) -> Seen:
        """Returns what the decoder reads of images.

        Args:
            images: (B, 3, H, W).
            filled: bool (B, H / 8, W / 8), true in cells of the image, false in its surroundings; None for true
                everywhere.
        """
        stages = self.backbone.forward_stages(images)
        names, tokens = self.visual.levels, self.visual(self.fpn(stages[1:]))
        cells = []
        if self.cell_head is not None:
            cells = [self._cells(name, some, images) for name, some in zip(names, tokens, strict=True)]
        masks: list[Tensor | None] = [None] * len(tokens)
        if self.options.memory_mask and filled is not None:
            masks = [self._mask(name, stages[STAGES[name]], filled) for name in names]
        if self.options.cross == "concatenated":
            known = [mask for mask in masks if mask is not None]
            tokens, masks = [torch.cat(tokens, 1)], [torch.cat(known, 1) if known else None]
        if len(self.pools):
            tokens = [pool(some, mask) for pool, some, mask in zip(self.pools, tokens, masks, strict=True)]
            masks = [None] * len(tokens)
        return Seen(tokens, masks, cells)

    def _cells(self, level: str, tokens: Tensor, images: Tensor) -> Tensor:
        assert self.cell_head is not None
        rows = -(-images.shape[2] // self.visual.step(level))
        return rearrange(self.cell_head(tokens), "b (h w) slots -> b slots h w", h=rows)

    def _mask(self, level: str, stage: Tensor, filled: Tensor) -> Tensor:
        cells = nn.functional.adaptive_max_pool2d(filled[:, None].float(), stage.shape[-2:])
        return self.visual.thinned(level, cells).flatten(1) > 0

    def remember(self, seen: Seen) -> list[Memory]:
        """Returns each block's keys and values, which are projected once an image."""
        count = len(seen.tokens)
        return [
            block.memory(seen.tokens[i % count], seen.masks[i % count])  # type: ignore[operator]
            for i, block in enumerate(self.blocks)
        ]

    def shifted(self, ids: Tensor) -> Tensor:
        """Returns the decoder's input under teacher forcing: the first input, then each row's predecessor.

        Args:
            ids: (B, S, T) tokens.
        """
        first = ids[:, :, :1] if self.task.bos == "leak" else self.begin(len(ids), ids.device)
        return torch.cat([first, ids[:, :, :-1]], 2)

    def begin(self, batch: int, device: torch.device) -> Tensor:
        """Returns the first input of decoding, int64 (B, S, 1)."""
        if self.task.bos == "leak":
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
        """Returns the logits of every row of ``inputs`` (B, S, T), or of row ``row`` alone (B, S, 1) with caches.

        Args:
            inputs: Decoder inputs, see ``shifted`` and ``begin``.
            memories: Keys and values of the images, from ``remember``.
            caches: Each block's keys and values of the rows before, to which this row's are added.
            row: The place of the first row of ``inputs`` in the lane.
            probe: A list to which each block's uniformity is added, see ``exp.tasks.lane.models.decoder``.
        """
        x = self.token_embedding(inputs) + self.row_embedding[row : row + inputs.shape[2]]
        x = x + self.slot_embedding[:, None]
        for i, block in enumerate(self.blocks):
            cache = None if caches is None else caches[i]
            x = block(x, memories[i], cache=cache, row=row, probe=probe)
        x = self.last_norm(x)
        return Written(self.x_head(x), None if self.y_head is None else self.y_head(x))

    def forward(self, images: Tensor, inputs: Tensor | None = None, filled: Tensor | None = None) -> Written:
        """Returns the logits of all rows.

        Args:
            images: (B, 3, H, W).
            inputs: (B, S, T) decoder inputs, see ``shifted``; zeros where not given, which is enough to count the cost.
            filled: See the method ``see``.
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
        """Writes the lanes of a batch a row at a time, and returns their tokens (B, S, T).

        Args:
            memories: Keys and values of the images, from ``remember``.
            temperature: 0 takes the likeliest token, else tokens are drawn from logits divided by it.
            generator: Generator of the draws; torch's own where None.
            prompt: (B, S, T) known tokens, -1 where unknown; they are taken instead of the model's.
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


def _backbone(options: LaneLMOptions, att: AttentionFactory | None, placement: str) -> ResNet | DLA34:
    if options.backbone == "dla34":
        return DLA34(options.width)
    resnet = RESNETS[options.backbone](width=options.width, stem="imagenet")
    network = ResNet(resnet, num_classes=1, att=att, placement=placement)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def choose(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """Returns the tokens (...) of logits (..., vocabulary): the likeliest at temperature 0, else drawn."""
    if temperature == 0:
        return logits.argmax(-1)
    shares = (logits.float() / temperature).softmax(-1)
    return torch.multinomial(shares.flatten(0, -2), 1, generator=generator).view(logits.shape[:-1])

"""Visual Attention Network, B0 to B6, with a further attention block at a chosen place.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023, and its authors' code,
whose key names are kept so that their weights load.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from exp.blocks.van_attention import VANAttention
from exp.layers.drop_path import DropPath
from exp.layers.resnet import AttentionFactory, check_network, chosen_stem, follows_stage
from exp.tasks.attention.options import VANOptions

_MLP_RATIOS = (8, 8, 4, 4)


class _Depthwise(nn.Module):
    """A 3x3 depthwise convolution one level down, where the official keys have it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.dwconv(x)


class _MLP(nn.Module):
    def __init__(self, channels: int, hidden: int, att: nn.Module | None) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.dwconv = _Depthwise(hidden)
        self.act = nn.GELU()
        self.att = att
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.dwconv(self.fc1(x)))
        return self.fc2(x if self.att is None else self.att(x))


class _Block(nn.Module):
    def __init__(
        self,
        channels: int,
        ratio: int,
        attention: Callable[[int], nn.Module],
        *,
        drop_path: float,
        layer_scale: float,
        att: AttentionFactory | None,
        placement: str,
    ) -> None:
        super().__init__()
        hidden = channels * ratio
        inside = att is not None and placement == "branch_mid"
        own = att is not None and placement in ("block_start", "branch_end", "block_end")
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = attention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = _MLP(channels, hidden, att(hidden) if att is not None and inside else None)
        self.drop_path = DropPath(drop_path)
        self.placement = placement
        self.att = att(channels) if att is not None and own else None
        self.layer_scale_1 = nn.Parameter(torch.full((channels,), layer_scale)) if layer_scale else None
        self.layer_scale_2 = nn.Parameter(torch.full((channels,), layer_scale)) if layer_scale else None

    def attend(self, place: str, x: Tensor) -> Tensor:
        return self.att(x) if self.att is not None and self.placement == place else x

    def forward(self, x: Tensor) -> Tensor:
        branch = self.attend("branch_end", self.attn(self.norm1(self.attend("block_start", x))))
        x = x + self.drop_path(_scaled(branch, self.layer_scale_1))
        x = x + self.drop_path(_scaled(self.mlp(self.norm2(x)), self.layer_scale_2))
        return self.attend("block_end", x)


def _scaled(branch: Tensor, scale: Tensor | None) -> Tensor:
    return branch if scale is None else branch * scale[:, None, None]


class _PatchEmbed(nn.Module):
    """Overlapping patches: a strided convolution and batch norm."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class VAN(nn.Module):
    """VAN, images (B, in_channels, H, W) -> logits (B, num_classes).

    Args:
        options: Those of a size, such as ``VANB0Options``; see ``VANOptions``.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        image_size: Not needed; images may have any size.
        att: Builds a further attention block for a channel count, or None for the plain network.
        placement: Where it goes. branch_end: on the attention branch, before layer scale and the addition. branch_mid:
            in the MLP, on the expanded channels after the depthwise convolution and GELU. block_start: before the
            attention branch, on the branch only. block_end: after the MLP's addition. stage_end, between_stages: after
            the stage's LayerNorm, the latter not after the last.
        given: Options by name, in place of ``options``.

    Attributes:
        stage_channels: Output channels of the four stages.

    Raises:
        ValueError: The options have no size, the stem is still auto, or an argument is out of bounds.
    """

    def __init__(
        self,
        options: VANOptions | None = None,
        *,
        num_classes: int,
        in_channels: int = 3,
        image_size: tuple[int, int] | None = None,
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
        **given: Any,
    ) -> None:
        super().__init__()
        options = VANOptions.of(options, given)
        check_network("VAN", num_classes=num_classes, in_channels=in_channels, placement=placement)
        if not hasattr(options, "depths"):
            raise ValueError("VAN: the options have no size; take those of one, such as VANB0Options")
        stem = chosen_stem("VAN", options.stem)
        attention = partial(VANAttention, **options.van_attention())
        total = sum(options.depths)
        rates = [options.drop_path * i / max(total - 1, 1) for i in range(total)]
        channels = in_channels
        for i, (dim, depth, ratio) in enumerate(zip(options.channels, options.depths, _MLP_RATIOS, strict=True)):
            first = (7, 4) if stem == "imagenet" else (3, 1)
            kernel, stride = first if i == 0 else (3, 2)
            blocks = [
                _Block(
                    dim,
                    ratio,
                    attention,
                    drop_path=rates.pop(0),
                    layer_scale=options.layer_scale,
                    att=att,
                    placement=placement,
                )
                for _ in range(depth)
            ]
            self.add_module(f"patch_embed{i + 1}", _PatchEmbed(channels, dim, kernel, stride))
            self.add_module(f"block{i + 1}", nn.ModuleList(blocks))
            self.add_module(f"norm{i + 1}", nn.LayerNorm(dim, eps=1e-6))
            if att is not None and follows_stage(placement, i, len(options.depths)):
                self.add_module(f"att{i + 1}", att(dim))
            channels = dim
        self.stage_channels = options.channels
        self.head = nn.Linear(channels, num_classes)
        self.init_weights()

    def init_weights(self) -> None:
        """Official: convolutions normal by fan out a group, head normal 0.02 cut off at 2, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
            elif isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in self.modules():
            restore = getattr(module, "init_weights", None)
            if module is not self and callable(restore):
                restore()

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        """Returns the outputs of the four stages: strides 1, 2, 4, 8 (cifar) or 4, 8, 16, 32 (imagenet)."""
        features = []
        parts = dict(self.named_children())
        for i in range(1, len(self.stage_channels) + 1):
            x = parts[f"patch_embed{i}"](x)
            for block in parts[f"block{i}"].children():
                x = block(x)
            x = parts[f"norm{i}"](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            if f"att{i}" in parts:
                x = parts[f"att{i}"](x)
            features.append(x)
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last stage's feature map (B, stage_channels[-1], h, w)."""
        return self.forward_stages(x)[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, in_channels, H, W) to logits (B, num_classes)."""
        return self.head(self.forward_features(x).mean((2, 3)))

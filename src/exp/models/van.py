"""Visual Attention Network, B0 to B6, with a further attention block at a chosen place.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023, and its authors' code,
whose key names are kept so that their weights load.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from exp.models.resnet import PLACEMENTS, AttentionFactory, stands_after
from exp.nn.checks import at_least, one_of
from exp.nn.drop_path import DropPath
from exp.nn.van_attention import VANAttention

STEMS = ("cifar", "imagenet")


@dataclass(frozen=True)
class _Size:
    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


_SIZES = {
    "b0": _Size((32, 64, 160, 256), (3, 3, 5, 2)),
    "b1": _Size((64, 128, 320, 512), (2, 2, 4, 2)),
    "b2": _Size((64, 128, 320, 512), (3, 3, 12, 3)),
    "b3": _Size((64, 128, 320, 512), (3, 5, 27, 3)),
    "b4": _Size((64, 128, 320, 512), (3, 6, 40, 3)),
    "b5": _Size((96, 192, 480, 768), (3, 3, 24, 3)),
    "b6": _Size((96, 192, 384, 768), (6, 6, 90, 6)),
}
_MLP_RATIOS = (8, 8, 4, 4)
SIZES = tuple(_SIZES)


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
        size: b0 to b6.
        num_classes: Number of logits.
        in_channels: Channels of the input.
        stem: imagenet (7x7, stride 4; the last stage is at 1/32) or cifar (3x3, stride 1; 1/8). The stock stem leaves
            a 32-pixel image one single position in the last stage, under kernels 23 wide.
        drop_path: Chance to drop a residual branch in the last block; it grows linearly from 0 in the first.
        layer_scale: Starting value of the learned factor a channel of each branch; 0 has no such factor.
        kernel_size: Nominal K of LKA: 7, 14, 21 or 28.
        form: Of LKA: decomposed or dense.
        branches: Sizes of LKA's parallel first depthwise convolutions, joined by +; None keeps K's own.
        lka_activation: After LKA's depthwise steps: none, relu, gelu or silu.
        norm: After LKA's depthwise steps: none or batch.
        gate: Of LKA's map: none, sigmoid, tanh or hard_sigmoid.
        join: LKA's product or sum.
        att: Builds a further attention block for a channel count, or None for the plain network.
        placement: Where it stands. branch_end: on the attention branch, before layer scale and the add. branch_mid: in
            the MLP, on the expanded channels after the depthwise convolution and GELU. block_start: before the
            attention branch, on the branch only. block_end: after the MLP's add. stage_end, between_stages: after the
            stage's LayerNorm, the latter not after the last.

    Attributes:
        stage_channels: Output channels of the four stages.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        *,
        size: str,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "imagenet",
        drop_path: float = 0.1,
        layer_scale: float = 0.01,
        kernel_size: int = 21,
        form: str = "decomposed",
        branches: str | None = None,
        lka_activation: str = "none",
        norm: str = "none",
        gate: str = "none",
        join: str = "product",
        att: AttentionFactory | None = None,
        placement: str = "branch_end",
    ) -> None:
        super().__init__()
        one_of("VAN", "size", size, SIZES)
        one_of("VAN", "stem", stem, STEMS)
        one_of("VAN", "placement", placement, PLACEMENTS)
        at_least("VAN", "num_classes", num_classes, 1)
        at_least("VAN", "in_channels", in_channels, 1)
        if not 0 <= drop_path < 1 or layer_scale < 0:
            raise ValueError(f"VAN: drop_path={drop_path!r} must be in [0, 1), layer_scale={layer_scale!r} at least 0")
        attention = partial(
            VANAttention,
            kernel_size=kernel_size,
            form=form,
            branches=branches,
            lka_activation=lka_activation,
            norm=norm,
            gate=gate,
            join=join,
        )
        shape = _SIZES[size]
        total = sum(shape.depths)
        rates = [drop_path * i / max(total - 1, 1) for i in range(total)]
        channels = in_channels
        for i, (dim, depth, ratio) in enumerate(zip(shape.dims, shape.depths, _MLP_RATIOS, strict=True)):
            first = (7, 4) if stem == "imagenet" else (3, 1)
            kernel, stride = first if i == 0 else (3, 2)
            blocks = [
                _Block(
                    dim,
                    ratio,
                    attention,
                    drop_path=rates.pop(0),
                    layer_scale=layer_scale,
                    att=att,
                    placement=placement,
                )
                for _ in range(depth)
            ]
            self.add_module(f"patch_embed{i + 1}", _PatchEmbed(channels, dim, kernel, stride))
            self.add_module(f"block{i + 1}", nn.ModuleList(blocks))
            self.add_module(f"norm{i + 1}", nn.LayerNorm(dim, eps=1e-6))
            if att is not None and stands_after(placement, i, len(shape.dims)):
                self.add_module(f"att{i + 1}", att(dim))
            channels = dim
        self.stage_channels = shape.dims
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


van_b0 = partial(VAN, size="b0")
van_b1 = partial(VAN, size="b1")
van_b2 = partial(VAN, size="b2")
van_b3 = partial(VAN, size="b3")
van_b4 = partial(VAN, size="b4")
van_b5 = partial(VAN, size="b5")
van_b6 = partial(VAN, size="b6")

"""Where attention looks: the effect of a block over the image, and Grad-CAM beside it.

The effect of a block is how much it scales its input at each position: mean over the channels of the output's size,
divided by that of the input. It is defined for every block, gates or not. Grad-CAM (Selvaraju et al., "Grad-CAM:
Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017) weighs the last feature map's
channels by the gradient of the predicted class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEAST = 4  # positions a side of the map that Grad-CAM is taken from


@dataclass(frozen=True)
class Maps:
    """What a model did with n images.

    Attributes:
        logits: (n, classes).
        effects: By the block's name, (n, h, w).
        cam: Grad-CAM (n, h, w) in 0..1 of the deepest stage of at least 4x4 positions, None for a model without
            `forward_stages`.
    """

    logits: Tensor
    effects: dict[str, Tensor]
    cam: Tensor | None


def attention_maps(model: nn.Module, images: Tensor, kind: type[nn.Module] | None) -> Maps:
    """Runs a model on images and reads its blocks from outside; the model is left as it was.

    Args:
        model: In evaluation mode.
        images: (n, C, H, W), normalised.
        kind: Class of the attention blocks, None where there are none.
    """
    effects: dict[str, Tensor] = {}
    features: list[Tensor] = []

    def effect(name: str) -> object:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            before = inputs[0].detach().float().abs().mean(1)
            effects[name] = output.detach().float().abs().mean(1) / (before + 1e-6)

        return hook

    handles = []
    for name, module in model.named_modules():
        if kind is not None and isinstance(module, kind):
            handles.append(module.register_forward_hook(effect(name)))  # type: ignore[arg-type]
    stages = getattr(model, "forward_stages", None)

    def kept(x: Tensor) -> list[Tensor]:
        assert stages is not None
        features.extend(stages(x))
        return features

    if stages is not None:
        model.forward_stages = kept  # type: ignore[assignment]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            logits = model(images.clone().requires_grad_())
            cam = _cam(logits, _deepest(features)) if features else None
    finally:
        for handle in handles:
            handle.remove()
        model.__dict__.pop("forward_stages", None)
    return Maps(logits.detach(), effects, cam)


def _deepest(features: Sequence[Tensor]) -> Tensor:
    """The last stage whose map says something about places."""
    large = [stage for stage in features if min(stage.shape[-2:]) >= _LEAST]
    return large[-1] if large else features[-1]


def _cam(logits: Tensor, features: Tensor) -> Tensor:
    best = logits.gather(1, logits.argmax(1, keepdim=True)).sum()
    (gradient,) = torch.autograd.grad(best, features)
    cam = (features * gradient.mean((2, 3), keepdim=True)).sum(1).relu().detach()
    return cam / cam.amax((1, 2), keepdim=True).clamp(min=1e-8)


def spread_out(names: Sequence[str], count: int) -> list[str]:
    """At most `count` of the names, from the first to the last, evenly."""
    if len(names) <= count:
        return list(names)
    return [names[round(i * (len(names) - 1) / (count - 1))] for i in range(count)]


def draw(path: Path, pixels: np.ndarray, maps: Maps, titles: Sequence[str], *, blocks: int = 4) -> None:
    """Writes a PNG with a row an image: the image, up to `blocks` effects, Grad-CAM.

    Args:
        path: The file.
        pixels: uint8 (n, C, H, W).
        maps: Of these images.
        titles: One an image.
        blocks: Effects shown, from the first block to the last.
    """
    from matplotlib.figure import Figure

    names = spread_out(list(maps.effects), blocks)
    columns = 1 + len(names) + (maps.cam is not None)
    size = pixels.shape[-2:]
    figure = Figure(figsize=(1.8 * columns, 1.9 * len(pixels)), layout="constrained")
    axes = figure.subplots(len(pixels), columns, squeeze=False)
    for row, image in enumerate(pixels):
        shown = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
        for axis in axes[row]:
            axis.set_axis_off()
        axes[row, 0].imshow(shown, cmap="gray", vmin=0, vmax=255)
        axes[row, 0].set_title(titles[row], fontsize=7)
        for column, name in enumerate(names, 1):
            values = maps.effects[name][row]
            picture = axes[row, column].imshow(_fit(values, size), cmap="viridis")
            axes[row, column].set_title(
                f"{name.removesuffix('.att')}\nx {values.min():.2f} to {values.max():.2f}", fontsize=7
            )
            figure.colorbar(picture, ax=axes[row, column], fraction=0.046).ax.tick_params(labelsize=5)
        if maps.cam is not None:
            axes[row, -1].imshow(shown, cmap="gray", vmin=0, vmax=255)
            axes[row, -1].imshow(_fit(maps.cam[row], size), cmap="inferno", alpha=0.6, vmin=0, vmax=1)
            axes[row, -1].set_title("Grad-CAM", fontsize=7)
    figure.savefig(path, dpi=130)


def _fit(values: Tensor, size: tuple[int, ...]) -> np.ndarray:
    """(h, w) enlarged to the image's size."""
    return F.interpolate(values[None, None].float(), size=size, mode="nearest")[0, 0].cpu().numpy()

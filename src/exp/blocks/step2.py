"""The step-2 block: CBAM with routers that decide by sample, temperatures and coordinates, every part a switch.

Source: 003_9e75db76f5a1d95d.txt and the module it describes. The defaults are the published block. Where its code does
not do what its text claims, ``step2_spatial.py`` and ``temperature.py`` explain it; the options that mend it are
``fusion=softmax_scaled``, ``temperature_inverse=stable``, ``branch=activated``, ``router_pool=attend`` and
``learnable_alpha=true``.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from exp.blocks.options import Step2Options
from exp.blocks.step2_channel import Step2Channel
from exp.blocks.step2_spatial import Step2Spatial
from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import pooled


@dataclass(frozen=True)
class Step2Maps:
    """Gates and router weights of one forward pass.

    Attributes:
        channel: Channel gate (B, C, 1, 1).
        spatial: Spatial gate (B, 1, H, W).
        fusion: Weights of mean and maximum (B, 2), None without that router.
        kernels: Weights of the branches (B, K), None without that router.
    """

    channel: Tensor
    spatial: Tensor
    fusion: Tensor | None
    kernels: Tensor | None


class Step2(nn.Module):
    """Channel gate, then spatial gate, then x + alpha (y - x); x (B, C, H, W) -> same shape.

    The defaults have 3,185 parameters at C = 64. With alpha fixed at 1, as published, the residual form does nothing:
    it returns y. Each gate has a temperature of its own.

    Args:
        channels: C.
        options: See ``Step2Options``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: Step2Options | None = None, **given: Any) -> None:
        super().__init__()
        options = Step2Options.of(options, given)
        self.channel = Step2Channel(channels, options)
        self.spatial = Step2Spatial(options)
        self.residual = options.residual
        if options.learnable_alpha:
            self.alpha = nn.Parameter(torch.tensor(float(options.residual_alpha)))
        else:
            self.register_buffer("alpha", torch.tensor(float(options.residual_alpha)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the attended features of x (B, C, H, W), same shape."""
        (statistics,), joint = pooled(x, ("avg", "max"), [(2, 3)], ((0,),))
        y = scaled(x, [(self.channel(x, statistics),)], joint)
        (planes,), joint = pooled(y, ("avg", "max"), [1], ((0,),))
        y = scaled(y, [(self.spatial(y, planes),)], joint)
        return x + self.alpha * (y - x) if self.residual else y

    def forward_with_maps(self, x: Tensor) -> tuple[Tensor, Step2Maps]:
        """Returns the output with both gates and both routers' weights."""
        outputs: dict[str, Tensor] = {}
        watched = {
            "channel": self.channel.gate,
            "spatial": self.spatial.gate,
            "fusion": self.channel.router_weights,
            "kernels": self.spatial.router_weights,
        }
        handles = [
            module.register_forward_hook(lambda _m, _i, output, key=key: outputs.update({key: output}))
            for key, module in watched.items()
        ]
        try:
            y = self(x)
        finally:
            for handle in handles:
                handle.remove()
        fusion, kernels = outputs.get("fusion"), outputs.get("kernels")
        return y, Step2Maps(
            outputs["channel"],
            outputs["spatial"],
            None if fusion is None else fusion.flatten(1),
            None if kernels is None else kernels.flatten(1),
        )

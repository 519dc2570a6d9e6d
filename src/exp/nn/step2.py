"""The step-2 block: CBAM with routers that decide by sample, temperatures and coordinates, every part a switch.

Source: 003_9e75db76f5a1d95d.txt and the module it describes. The defaults are the published block. What its text says
and its code does not do is written where it happens (step2_spatial.py, temperature.py); the options that mend it:
fusion=softmax_scaled, temperature_inverse=stable, branch=activated, router_pool=attend, learnable_alpha.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exp.nn.checks import acts_only
from exp.nn.step2_channel import Step2Channel
from exp.nn.step2_spatial import Step2Spatial
from exp.nn.temperature import Temperature


@dataclass(frozen=True)
class Step2Maps:
    """What the block saw.

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

    Defaults: 3,185 parameters at C = 64. With alpha fixed at 1, as published, the residual form does nothing: it
    returns y.

    Args:
        channels: C.
        reduction: Divisor of C for the channel MLP.
        min_hidden: Smallest width of the channel MLP.
        activation: Of the channel MLP, relu or silu.
        fusion: Of mean and maximum: softmax (by sample, w0 + w1 = 1), softmax_scaled (w0 + w1 = 2), sum.
        fusion_hidden: Hidden width of the fusion router.
        gate: sigmoid or hard_sigmoid, for both gates.
        temperature: Divides the logits of both gates.
        learnable_temperature: Whether each gate learns its own, from there.
        temperature_inverse: published (overflows at 89) or stable; with a learnable one only.
        kernels: Odd sizes of the spatial branches joined by +.
        dilated: Whether a dilated branch is added.
        dilated_kernel: Its size.
        dilation: Its dilation.
        branch: separable (depthwise and 1x1), plain (the convolution that it equals) or activated.
        coord: Coordinates given to the branches: minus1to1, 0to1 or none.
        router_inputs: 4, or 2 for a kernel router without coordinates.
        router_pool: What the kernel router pools its input with: mean, grid or attend.
        router_hidden: Hidden width of the kernel router.
        residual: Whether the output is x + alpha (y - x), else y.
        residual_alpha: alpha.
        learnable_alpha: Whether it is learned, from there.

    Raises:
        ValueError: For a value outside those named, or an option that the others leave without effect.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        min_hidden: int = 4,
        activation: str = "relu",
        fusion: str = "softmax",
        fusion_hidden: int = 16,
        gate: str = "sigmoid",
        temperature: float = 1.0,
        learnable_temperature: bool = False,
        temperature_inverse: str = "published",
        kernels: str = "3+7",
        dilated: bool = True,
        dilated_kernel: int = 7,
        dilation: int = 2,
        branch: str = "separable",
        coord: str = "minus1to1",
        router_inputs: int = 4,
        router_pool: str = "mean",
        router_hidden: int = 8,
        residual: bool = True,
        residual_alpha: float = 1.0,
        learnable_alpha: bool = False,
    ) -> None:
        super().__init__()
        acts_only("Step2", "fusion_hidden", fusion_hidden, 16, fusion != "sum", "fusion other than 'sum'")
        acts_only("Step2", "residual_alpha", residual_alpha, 1.0, residual, "residual=True")
        acts_only("Step2", "learnable_alpha", learnable_alpha, False, residual, "residual=True")

        def own_temperature() -> Temperature:
            return Temperature(temperature, learnable=learnable_temperature, inverse=temperature_inverse, where="Step2")

        self.channel = Step2Channel(
            channels,
            reduction=reduction,
            min_hidden=min_hidden,
            fusion=fusion,
            router_hidden=fusion_hidden,
            activation=activation,
            gate=gate,
            temperature=own_temperature(),
        )
        self.spatial = Step2Spatial(
            kernels=kernels,
            dilated=dilated,
            dilated_kernel=dilated_kernel,
            dilation=dilation,
            branch_kind=branch,
            coord=coord,
            router_inputs=router_inputs,
            router_pool=router_pool,
            router_hidden=router_hidden,
            gate=gate,
            temperature=own_temperature(),
        )
        self.residual = residual
        if learnable_alpha:
            self.alpha = nn.Parameter(torch.tensor(float(residual_alpha)))
        else:
            self.register_buffer("alpha", torch.tensor(float(residual_alpha)))

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to the attended features, same shape."""
        y = x * self.channel(x)
        y = y * self.spatial(y)
        return x + self.alpha * (y - x) if self.residual else y

    def forward_with_maps(self, x: Tensor) -> tuple[Tensor, Step2Maps]:
        """The output with both gates and both routers' weights."""
        found: dict[str, Tensor] = {}
        watched = {
            "channel": self.channel.gate,
            "spatial": self.spatial.gate,
            "fusion": self.channel.router_weights,
            "kernels": self.spatial.router_weights,
        }
        handles = [
            module.register_forward_hook(lambda _m, _i, output, key=key: found.update({key: output}))
            for key, module in watched.items()
        ]
        try:
            y = self(x)
        finally:
            for handle in handles:
                handle.remove()
        fusion, kernels = found.get("fusion"), found.get("kernels")
        return y, Step2Maps(
            found["channel"],
            found["spatial"],
            None if fusion is None else fusion.flatten(1),
            None if kernels is None else kernels.flatten(1),
        )
